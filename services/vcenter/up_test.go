package vcenter_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// A VM is down when it is off or its host does not answer, and a host when it does not
// answer. What is not there is not known to be down.
func TestWhetherAMachineIsUp(t *testing.T) {
	x := newFenced(t)
	x.vm.host = connectedHost
	see := func(r api.UpRequest) (string, bool) {
		t.Helper()
		got, err := ask[api.UpReply](x.ctx, x.a, api.VCenterUp, r)
		x.must(err)
		return got.Text, got.Up
	}
	want := func(r api.UpRequest, up bool, text string) {
		t.Helper()
		if got, is := see(r); is != up || !strings.Contains(got, text) {
			t.Errorf("%+v: up %t, %q", r, is, got)
		}
	}
	vm, host := api.UpRequest{VM: "web01"}, api.UpRequest{Host: "esx1"}
	want(vm, true, "the VM web01 is on")
	want(host, true, "the host esx1 is connected")
	answers := api.UpRequest{VM: "web01", Tools: true}
	want(answers, true, "the VM web01 is on, and its VMware Tools run")
	x.must(x.vm.set(func() { x.vm.tools = false }))
	want(answers, false, "its VMware Tools do not run")
	x.must(x.vm.PowerOff(x.ctx, ""))
	want(vm, false, "the VM web01 is off")
	want(answers, false, "the VM web01 is off")
	x.must(x.vm.PowerOn(x.ctx, ""))
	x.must(x.vm.set(func() { x.vm.host = "notResponding" }))
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // the inventory is read again in a while
		if _, up := see(host); !up {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the host is up")
		}
	}
	want(vm, false, "the host of the VM web01 is down")
	for _, r := range []api.UpRequest{{VM: "nosuch"}, {Host: "nosuch"}} {
		if _, err := ask[api.UpReply](x.ctx, x.a, api.VCenterUp, r); !cdp.Is(err, cdp.NotFound) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := ask[api.UpReply](x.ctx, x.a, api.VCenterUp, api.UpRequest{}); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
}

const connectedHost = "connected"

// hosts are those of the one VM.
func (v *oneVM) hosts() []inventory.Host {
	v.mu.Lock()
	defer v.mu.Unlock()
	return []inventory.Host{{Place: inventory.Place{Ref: "HostSystem:h1", Name: "esx1"}, State: v.host}}
}
