package vcsim_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"tidemark.dev/pkg/adapter/vcsim"
)

func TestFaults(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, _ := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}})
	c.s.Fault("PowerOnVM_Task", &types.TaskInProgress{}, 1)
	if _, err := vm.PowerOn(c.ctx); !fault.Is(err, &types.TaskInProgress{}) {
		t.Errorf("%v", err)
	}
	c.must(vm.PowerOn(c.ctx))
	c.s.FaultTask("createSnapshot", errors.New("disk is tired"), 1)
	task, err := vm.CreateSnapshot(c.ctx, "s", "", false, false)
	c.ok(err)
	if err = task.Wait(c.ctx); err == nil {
		t.Error("the task did not fail")
	}
	c.s.Delay("PowerOffVM_Task", time.Hour, 1)
	ctx, cancel := context.WithTimeout(c.ctx, 50*time.Millisecond)
	defer cancel()
	if _, err = vm.PowerOff(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	// Close ends the delayed call.
}

func TestDeny(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, _ := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}})
	const p = "VirtualMachine.State.CreateSnapshot"
	c.s.Deny(p)
	_, err := vm.CreateSnapshot(c.ctx, "s", "", false, false)
	var no types.NoPermission
	if !fault.Is(err, &no) {
		t.Errorf("%v", err)
	}
	am := object.NewAuthorizationManager(c.Client.Client)
	got, err := am.FetchUserPrivilegeOnEntities(c.ctx, []types.ManagedObjectReference{c.ServiceContent.RootFolder}, c.s.User())
	c.ok(err)
	joined := strings.Join(got[0].Privileges, " ")
	if strings.Contains(joined, p) || !strings.Contains(joined, "VirtualMachine.Interact.PowerOn") {
		t.Error(joined)
	}
	has, err := am.HasUserPrivilegeOnEntities(c.ctx, []types.ManagedObjectReference{vm.Reference()}, c.s.User(), []string{p, "System.View"})
	c.ok(err)
	if a := has[0].PrivAvailability; a[0].IsGranted || !a[1].IsGranted {
		t.Errorf("%+v", has)
	}
	c.s.Allow()
	c.snapshot(vm, "s")
}

func TestDisableMethods(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, _ := c.add(vcsim.VMSpec{Name: "replica", Disks: []vcsim.DiskSpec{{Size: mib}}})
	am := object.NewAuthorizationManager(c.Client.Client)
	on := []types.ManagedObjectReference{vm.Reference()}
	c.ok(am.DisableMethods(c.ctx, on, []object.DisabledMethodRequest{{Method: "PowerOnVM_Task", Reason: "replicates"}}, "tidemark"))
	if _, err := vm.PowerOn(c.ctx); !fault.Is(err, &types.MethodDisabled{}) {
		t.Errorf("%v", err)
	}
	if got := c.props(vm, "disabledMethod").DisabledMethod; len(got) != 1 {
		t.Errorf("%v", got)
	}
	c.ok(am.EnableMethods(c.ctx, on, []string{"PowerOnVM_Task"}, "tidemark"))
	c.must(vm.PowerOn(c.ctx))
}

// reconnect drops idle connections, which do not know yet that they were cut.
func (c *client) reconnect() {
	c.Client.Client.Client.DefaultTransport().CloseIdleConnections()
}

func TestRestart(t *testing.T) {
	c := site(t, vcsim.Config{})
	_, ref := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}, Tags: []string{"a/b"}})
	url0, thumb := c.s.URL(), c.s.Thumbprint()
	// A long poll is cut.
	done := make(chan error, 1)
	go func() {
		done <- property.Wait(c.ctx, property.DefaultCollector(c.Client.Client), ref.Ref, []string{"name"}, func([]types.PropertyChange) bool { return false })
	}()
	for c.s.Calls("WaitForUpdatesEx") < 2 {
		time.Sleep(time.Millisecond)
	}
	c.ok(c.s.Restart(false))
	if err := <-done; err == nil {
		t.Error("the long poll survived")
	}
	if c.s.URL() != url0 || c.s.Thumbprint() != thumb {
		t.Error("another address")
	}
	c.reconnect()
	if _, err := methods.GetCurrentTime(c.ctx, c.Client); err != nil {
		t.Errorf("the session is gone: %v", err)
	}
	c.ok(c.s.Restart(true))
	c.reconnect()
	var m mo.VirtualMachine
	if err := c.RetrieveOne(c.ctx, ref.Ref, []string{"name"}, &m); !fault.Is(err, &types.NotAuthenticated{}) {
		if err == nil {
			_, err = object.NewVirtualMachine(c.Client.Client, ref.Ref).PowerOn(c.ctx)
		}
		if !fault.Is(err, &types.NotAuthenticated{}) {
			t.Errorf("%v", err)
		}
	}
	d := newClient(t, c.s)
	rc := rest.NewClient(d.Client.Client)
	login := url.UserPassword(c.s.User(), c.s.Password())
	d.ok(rc.Login(d.ctx, login))
	got, err := tags.NewManager(rc).GetAttachedTags(d.ctx, ref.Ref)
	d.ok(err)
	if len(got) != 1 || got[0].Name != "b" {
		t.Errorf("tags: %v", got)
	}
	c.s.ExpireSessions()
	if _, err = tags.NewManager(rc).GetAttachedTags(d.ctx, ref.Ref); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("REST session: %v", err)
	}
	d.ok(rc.Login(d.ctx, login))
	_, err = tags.NewManager(rc).GetAttachedTags(d.ctx, ref.Ref)
	d.ok(err)
}

func TestFolderHTTP(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, ref := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}, On: true})
	ds, err := c.find.Datastore(c.ctx, "vc-ds1")
	c.ok(err)
	u := ds.NewURL("x/x-flat.vmdk")
	hc := &http.Client{Transport: c.Client.Client.Client.DefaultTransport()}
	res, err := hc.Get(u.String())
	c.ok(err)
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a session: %s", res.Status)
	}
	if _, _, err = ds.Download(c.ctx, "x/x-flat.vmdk", nil); err == nil {
		t.Error("a locked file was served")
	}
	c.must(vm.PowerOff(c.ctx))
	r, n, err := ds.Download(c.ctx, "x/x-flat.vmdk", nil)
	c.ok(err)
	r.Close()
	if n != ref.Disks[0].Size {
		t.Errorf("%d bytes", n)
	}
}

func TestHosts(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, ref := c.add(vcsim.VMSpec{Name: "x", Host: "vc-esx1", Disks: []vcsim.DiskSpec{{Size: mib}}, On: true})
	c.ok(c.s.Skew("vc-esx1", time.Hour))
	for i, name := range c.s.HostNames() {
		h, err := c.find.HostSystem(c.ctx, name)
		c.ok(err)
		sys, err := h.ConfigManager().DateTimeSystem(c.ctx)
		c.ok(err)
		now, err := sys.Query(c.ctx)
		c.ok(err)
		if off := time.Until(*now).Round(time.Minute); off != []time.Duration{time.Hour, 0}[i] {
			t.Errorf("%s is off by %s", name, off)
		}
	}
	h2, err := c.find.HostSystem(c.ctx, "vc-esx2")
	c.ok(err)
	c.must(vm.Migrate(c.ctx, nil, h2, types.VirtualMachineMovePriorityDefaultPriority, ""))
	if h := c.props(vm, "runtime.host").Runtime.Host; *h != h2.Reference() {
		t.Errorf("on %s", h)
	}
	var m mo.HostSystem
	c.ok(h2.Properties(c.ctx, h2.Reference(), []string{"vm"}, &m))
	if len(m.Vm) != 1 || m.Vm[0] != ref.Ref {
		t.Errorf("%v", m.Vm)
	}
	c.ok(c.s.FailHost("vc-esx2"))
	if s := c.props(vm, "runtime.connectionState").Runtime.ConnectionState; s != types.VirtualMachineConnectionStateDisconnected {
		t.Error(s)
	}
	if _, err = vm.PowerOff(c.ctx); !fault.Is(err, &types.HostNotConnected{}) {
		t.Error(err)
	}
	c.ok(c.s.HealHost("vc-esx2"))
	c.must(vm.PowerOff(c.ctx))
	c.ok(c.s.HostVersion("vc-esx1", "6.7.0"))
	h1, err := c.find.HostSystem(c.ctx, "vc-esx1")
	c.ok(err)
	c.ok(h1.Properties(c.ctx, h1.Reference(), []string{"config.product", "summary.config.product"}, &m))
	if m.Config.Product.Version != "6.7.0" || m.Summary.Config.Product.Version != "6.7.0" {
		t.Errorf("%+v", m.Config.Product)
	}
}
