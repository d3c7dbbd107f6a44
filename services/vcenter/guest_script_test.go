package vcenter_test

import (
	"context"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// oneLogin is the only login at guests that the machine has.
type oneLogin struct{}

func (oneLogin) Login(name string) (user, password string, err error) {
	if name != "linux" {
		return "", "", cdp.Errorf(cdp.Invalid, "read guest login", name, "there is no such file")
	}
	return "root", "secret", nil
}

// RunInGuest runs what has one ID once.
func (v *oneVM) RunInGuest(_ context.Context, _ inventory.Ref, s inventory.GuestScript) (got inventory.GuestResult, err error) {
	return got, v.set(func() {
		if v.ran == nil {
			v.ran = map[string]int{}
		}
		if v.ran[s.ID] == 0 {
			v.ran[s.ID]++
		}
		got = inventory.GuestResult{Exit: len(s.ID), Output: s.User + ":" + s.Password + " " + s.Text + " " + strings.Join(s.Env, ",")}
	})
}

func (v *oneVM) ForgetGuestRun(_ context.Context, _ inventory.Ref, s inventory.GuestScript) error {
	if s.User != "root" || s.Password != "secret" {
		return cdp.Errorf(cdp.Invalid, "forget", s.ID, "a wrong login")
	}
	return v.set(func() { delete(v.ran, s.ID) })
}

// A script runs in a guest with the login that only this machine has, once however often it
// is asked for, and its end is answered as it was.
func TestAScriptRunsInAGuestForAPlan(t *testing.T) {
	x := newFenced(t)
	r := api.GuestScriptRequest{VM: "web01", ID: "run1", Login: "linux", Text: "echo hello", Env: []string{"TIDEMARK_MODE=test"}}
	for range 2 {
		got, err := ask[api.GuestScriptReply](x.ctx, x.a, api.VMGuestScript, r)
		if err != nil || !got.Done || got.Exit != 4 || got.Output != "root:secret echo hello TIDEMARK_MODE=test" {
			t.Errorf("%+v %v", got, err)
		}
	}
	if x.vm.ran["run1"] != 1 {
		t.Error(x.vm.ran)
	}
	forget := api.GuestScriptRequest{VM: "web01", ID: "run1", Login: "linux", Forget: true}
	if got, err := ask[api.GuestScriptReply](x.ctx, x.a, api.VMGuestScript, forget); err != nil || !got.Done || x.vm.ran["run1"] != 0 {
		t.Errorf("%+v %v %v", got, err, x.vm.ran)
	}
	for want, change := range map[cdp.Kind]func(*api.GuestScriptRequest){
		cdp.NotFound: func(r *api.GuestScriptRequest) { r.VM = "nosuch" },
		cdp.Invalid:  func(r *api.GuestScriptRequest) { r.Login = "windows" },
	} {
		bad := r
		change(&bad)
		if _, err := ask[api.GuestScriptReply](x.ctx, x.a, api.VMGuestScript, bad); !cdp.Is(err, want) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, bad := range []api.GuestScriptRequest{{VM: "web01", Login: "linux", Text: "x"}, {VM: "web01", Login: "linux", ID: "x"}, {VM: "web01", Login: "linux", ID: "x", Text: "x", Env: []string{"A=b\nc"}}, {VM: "web01", Login: "linux", ID: "x", Text: "x", Forget: true}} {
		if _, err := ask[api.GuestScriptReply](x.ctx, x.a, api.VMGuestScript, bad); !cdp.Is(err, cdp.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
