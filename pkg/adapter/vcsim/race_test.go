package vcsim_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"tidemark.dev/pkg/adapter/vcsim"
)

// TestEverythingAtOnce does everything at once on two sites, for the race detector.
// Nothing may be left running afterwards.
func TestEverythingAtOnce(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	var wg sync.WaitGroup
	var sites []*vcsim.Site
	for _, name := range []string{"a", "b"} {
		s, err := vcsim.Start(vcsim.Config{Name: name, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		sites = append(sites, s)
		c := newClient(t, s)
		appl, _ := c.add(vcsim.VMSpec{Name: "appl", Disks: []vcsim.DiskSpec{{Size: mib}}, On: true})
		var workers sync.WaitGroup
		stop := make(chan struct{})
		var slots sync.Mutex // two attaches at once would choose the same unit
		for n := range 3 {
			workers.Go(func() {
				for i := range 3 {
					c.liveAndDie(fmt.Sprintf("vm-%d-%d", n, i), appl, &slots)
				}
			})
		}
		wg.Go(func() { workers.Wait(); close(stop) })
		wg.Go(func() { c.readAndReconfigure(name, stop) })
	}
	wg.Wait()
	for _, s := range sites {
		s.Close()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for end := time.Now().Add(time.Minute); ; {
		err := goleak.Find(leaks)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// liveAndDie makes a VM, writes to it, attaches its frozen disk to an appliance, and
// destroys it.
func (c *client) liveAndDie(name string, appl *object.VirtualMachine, slots *sync.Mutex) {
	vm, ref := c.add(vcsim.VMSpec{
		Name: name, Disks: []vcsim.DiskSpec{{Size: mib}},
		NICs: []vcsim.NICSpec{{}}, CBT: true, On: true,
	})
	if err := c.s.GuestWrite(ref.Name, ref.Disks[0].Key, 0, []byte("x")); err != nil {
		c.t.Error(err)
	}
	c.snapshot(vm, "s")
	slots.Lock()
	d, err := c.attach(appl, ref.Disks[0].File, types.VirtualDiskModeIndependent_nonpersistent)
	slots.Unlock()
	if err != nil {
		c.t.Error(err)
		return
	}
	if err = appl.RemoveDevice(c.ctx, true, d); err != nil {
		c.t.Error(err)
	}
	c.must(vm.RemoveAllSnapshot(c.ctx, types.NewBool(true)))
	c.must(vm.PowerOff(c.ctx))
	c.must(vm.Destroy(c.ctx))
}

// readAndReconfigure reads everything, and changes the site's settings, until stop is
// closed.
func (c *client) readAndReconfigure(site string, stop chan struct{}) {
	m := view.NewManager(c.Client.Client)
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		v, err := m.CreateContainerView(c.ctx, c.ServiceContent.RootFolder, []string{"VirtualMachine", "HostSystem"}, true)
		if err != nil {
			c.t.Error(err)
			return
		}
		var vms []mo.VirtualMachine
		var hosts []mo.HostSystem
		_ = v.Retrieve(c.ctx, []string{"VirtualMachine"}, []string{"name", "config", "snapshot", "runtime", "guest", "summary", "datastore", "resourcePool"}, &vms)
		_ = v.Retrieve(c.ctx, []string{"HostSystem"}, []string{"summary", "runtime", "vm", "config.product"}, &hosts)
		_ = c.s.HostVersion(site+"-esx1", fmt.Sprintf("8.0.%d", i%4))
		_ = c.s.Tools("appl", i%2 == 0, "10.0.0.1")
		_ = c.s.VLCM("", i%2 == 0)
		_ = v.Destroy(c.ctx)
	}
}
