package vcenter_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

// oneVM is a vCenter with one VM, as far as a fence needs one.
type oneVM struct {
	vcenter.VCenter
	mu              sync.Mutex
	on, tools, gone bool
	banned          string
	marks           map[string]string
	host            string // its host's state
	starts          inventory.AutoStart
	strict          bool // the list of what its host starts cannot be changed
	ha              inventory.HARestart
	haStrict        bool           // its HA setting cannot be changed
	guestAsks       int            // looks until its guest has shut down
	ran             map[string]int // scripts in its guest, by ID
}

func (v *oneVM) About(context.Context) (inventory.About, error) {
	return inventory.About{UUID: "i"}, nil
}

func (v *oneVM) VM(_ context.Context, uuid string) (inventory.VM, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone || uuid != "u1" {
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, "find VM", uuid, "there is none")
	}
	if v.guestAsks > 0 { // its guest shuts down, which takes a while
		if v.guestAsks--; v.guestAsks == 0 {
			v.on = false
		}
	}
	power := inventory.PoweredOff
	if v.on {
		power = inventory.PoweredOn
	}
	return inventory.VM{Place: inventory.Place{Ref: "VirtualMachine:vm-1", Name: "web01"}, UUID: uuid, Power: power, Host: "HostSystem:h1", Hardware: inventory.Hardware{Extra: v.marks}, Guest: inventory.Guest{ToolsRunning: v.tools}}, nil
}

func (v *oneVM) set(change func()) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
	return nil
}

func (v *oneVM) Block(_ context.Context, _ inventory.Ref, why string) error {
	return v.set(func() { v.banned = why })
}

func (v *oneVM) Unblock(context.Context, inventory.Ref) error {
	return v.set(func() { v.banned = "" })
}

func (v *oneVM) AutoStart(context.Context, inventory.Ref) (x inventory.AutoStart, err error) {
	return x, v.set(func() { x = v.starts })
}

func (v *oneVM) SetAutoStart(_ context.Context, _ inventory.Ref, x inventory.AutoStart) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.strict {
		return cdp.Errorf(cdp.Conflict, "change autostart", "web01", "it lacks a privilege")
	}
	v.starts = x
	return nil
}

func (v *oneVM) HARestart(context.Context, inventory.Ref) (x inventory.HARestart, err error) {
	return x, v.set(func() { x = v.ha })
}

func (v *oneVM) SetHARestart(_ context.Context, _ inventory.Ref, x inventory.HARestart) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.haStrict {
		return cdp.Errorf(cdp.Conflict, "change the HA settings of", "web01", "it lacks a privilege")
	}
	v.ha = x
	v.ha.Restarts = !x.Disabled()
	return nil
}

func (v *oneVM) PowerOff(context.Context, inventory.Ref) error {
	return v.set(func() { v.on = false })
}

func (v *oneVM) PowerOn(context.Context, inventory.Ref) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.banned != "" {
		return cdp.Errorf(cdp.Conflict, "power on", "web01", "its power-on is blocked: %s", v.banned)
	}
	v.on = true
	return nil
}

func (v *oneVM) ShutdownGuest(context.Context, inventory.Ref) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.tools {
		return cdp.Errorf(cdp.Conflict, "shut a guest down", "web01", "VMware Tools are not running in the guest")
	}
	v.guestAsks = 3
	return nil
}

// fenced is a vcenter service at the source a of a VM that the site b asks it to fence.
type fenced struct {
	*world
	vm  *oneVM
	f   *faulty
	req api.FenceRequest
}

// listed is how the VM's host starts it.
var listed = inventory.AutoStart{StartAction: "powerOn", StartOrder: 2, StartDelay: 30, WaitForHeartbeat: "yes", StopAction: "systemDefault", StopDelay: -1}

// restarted is how HA of the VM's cluster restarts it.
var restarted = inventory.HARestart{Restarts: true, Override: true, Priority: "high"}

func newFenced(t *testing.T) *fenced {
	x := &fenced{vm: &oneVM{on: true, tools: true, starts: listed, ha: restarted}, world: &world{t: t, ctx: t.Context(), jobs: map[string]spec.VMJob{}, groups: map[string]spec.ReplicationJob{
		"shop-web01": {Name: "shop-web01", Source: spec.Source{Site: "a", VM: "u1"}, Target: spec.Target{Site: "b"}}}}}
	x.f = &faulty{VCenter: x.vm}
	x.req = api.FenceRequest{Group: "shop-web01", VM: "u1", Target: "b", Run: "r1", Turn: 1, Wait: spec.Duration(time.Minute)}
	x.a = &end{w: x.world, name: "a", recs: &records{m: map[string]record{}}}
	x.a.svc = vcenter.New(vcenter.Config{Patience: 20 * time.Millisecond, CheckEvery: time.Millisecond, CacheFor: 50 * time.Millisecond}, vcenter.Deps{
		VCenter: func(context.Context) (vcenter.VCenter, error) { return x.f, nil },
		Site:    func(context.Context) (vcenter.Site, error) { return vcenter.Site{Name: "a"}, nil },
		Sourced: sourcedOf{jobsOf{x.world, "a"}, groupsOf{x.world, ""}}, Records: x.a.recs, Events: eventsOf{x.world}, Guests: oneLogin{}, Clock: clock.System,
	})
	return x
}

// ask makes a request of the next turn, and says why it was refused.
func (x *fenced) ask(want recovery.Fence, how recovery.Shutdown) error {
	x.t.Helper()
	x.req.Turn++
	x.req.Want, x.req.Shutdown = want, how
	return x.a.refused(api.VMFence, x.req)
}

// is checks the VM's power, and whether somebody can power it on.
func (x *fenced) is(power inventory.Power, banned bool) {
	x.t.Helper()
	v, err := x.vm.VM(x.ctx, "u1")
	x.must(err)
	if v.Power != power || x.vm.banned != "" != banned {
		x.t.Fatalf("it is %s, banned: %q; want %s, %v", v.Power, x.vm.banned, power, banned)
	}
}

// startsByItself checks whether the VM's host starts it by itself, and HA restarts it, as
// they did at first.
func (x *fenced) startsByItself(yes bool) {
	x.t.Helper()
	want, ha := listed, restarted
	if !yes {
		want, ha = listed.Off(), restarted.Off()
	}
	if x.vm.starts != want {
		x.t.Fatalf("its host's autostart is %+v, want %+v", x.vm.starts, want)
	}
	if x.vm.ha != ha {
		x.t.Fatalf("HA does %+v, want %+v", x.vm.ha, ha)
	}
}

// The source VM of a failover is powered off and stays off, as its request says, and is
// given back as it was, whatever fails on the way. A request that comes late, or from
// somebody else, changes nothing.
func TestASourceVMIsFencedAndGivenBack(t *testing.T) {
	x := newFenced(t)
	for what, change := range map[string]func(*api.FenceRequest){
		"another target": func(r *api.FenceRequest) { r.Target = "c" },
		"another VM":     func(r *api.FenceRequest) { r.VM = "421f0000-0000-0000-0000-000000000000" },
		"no such job":    func(r *api.FenceRequest) { r.Group = "else" },
		"no run":         func(r *api.FenceRequest) { r.Run = "" },
		"no such state":  func(r *api.FenceRequest) { r.Want = "melted" },
	} {
		r := x.req
		r.Want, r.Shutdown = recovery.Fenced, recovery.ShutNow
		change(&r)
		if err := x.a.refused(api.VMFence, r); !cdp.Is(err, cdp.Conflict) && !cdp.Is(err, cdp.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	x.is("on", false)

	x.faults()
	x.must(x.ask(recovery.Fenced, recovery.ShutNow))
	x.is("off", true)
	late := x.req
	x.must(x.a.refused(api.VMFence, late)) // once more
	if err := x.vm.PowerOn(x.ctx, ""); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "tidemark failover unfence shop-web01") {
		t.Errorf("its power-on: %v", err)
	}
	if !x.reported("runs it at the site b") {
		t.Error("nobody was told")
	}
	x.must(x.ask(recovery.Restored, ""))
	x.is("on", false)
	if err := x.a.refused(api.VMFence, late); !cdp.Is(err, cdp.Conflict) {
		t.Errorf("a late request: %v", err)
	}
	x.is("on", false)

	x.must(x.ask(recovery.Fenced, recovery.ShutGraceful))
	x.is("off", true)
	x.must(x.ask(recovery.Fenced, recovery.ShutNow)) // of a later run
	x.startsByItself(false)
	x.must(x.ask(recovery.Restored, ""))
	x.is("on", false)
	x.startsByItself(true)

	x.vm.tools = false
	if err := x.ask(recovery.Fenced, recovery.ShutNone); !cdp.Is(err, cdp.Conflict) || !strings.Contains(cdp.HintOf(err), "graceful") {
		t.Errorf("left alone: %v", err)
	}
	x.is("on", false)
	if err := x.ask(recovery.Fenced, recovery.ShutGraceful); !cdp.Is(err, cdp.Conflict) || !strings.Contains(cdp.HintOf(err), "forced") {
		t.Errorf("without VMware Tools: %v", err)
	}
	x.must(x.ask(recovery.Restored, ""))
	x.is("on", false)
	x.must(x.ask(recovery.Fenced, recovery.ShutForced))
	x.is("off", true)
	x.must(x.ask(recovery.Released, ""))
	x.is("off", false)
	x.startsByItself(true)

	x.must(x.ask(recovery.Fenced, recovery.ShutNone)) // it is off
	x.is("off", true)
	delete(x.groups, "shop-web01") // the job was deleted: what was done can still be taken back
	x.must(x.ask(recovery.Restored, ""))
	x.is("off", false)
	x.vm.gone = true
	x.must(x.ask(recovery.Restored, ""))
}

// faults are those of a vCenter: it fails before or after a call had its effect, or
// accepts what it then does not do. The same request goes on, and its answer is what was
// read back: the VM is never said to be off while it is on.
func (x *fenced) faults() {
	x.t.Helper()
	round := func(fault string, begin func()) {
		x.t.Helper()
		begin()
		for _, want := range []recovery.Fence{recovery.Fenced, recovery.Restored} {
			x.req.Turn++
			x.req.Want, x.req.Shutdown = want, recovery.ShutNow
			for err := x.a.refused(api.VMFence, x.req); err != nil; err = x.a.refused(api.VMFence, x.req) {
				if !cdp.Is(err, cdp.Transient) {
					x.t.Fatalf("%s: %v", fault, err)
				}
			}
			x.is(map[bool]inventory.Power{true: "off", false: "on"}[want == recovery.Fenced], want == recovery.Fenced)
			x.startsByItself(want == recovery.Restored)
		}
		if x.f.was() == "" {
			x.t.Fatalf("no call of a round was hit: %s", fault)
		}
	}
	for _, call := range []string{"PowerOff", "PowerOn", "SetAutoStart", "SetHARestart"} {
		round("accepted, then aborted: "+call, func() { x.f.deceive(call) })
	}
	for at := 1; at <= 8; at++ { // Block, SetAutoStart, SetHARestart, PowerOff, Unblock, PowerOn, SetAutoStart, SetHARestart
		for _, after := range []bool{false, true} {
			round(fmt.Sprintf("fails at call %d, after its effect: %v", at, after), func() { x.f.set(at, after) })
		}
	}
	x.f.calm()
}

// A VM that its host starts by itself is not fenced while that cannot be changed: a planned
// failover does not begin, and an emergency one powers the VM off and says what to do.
func TestAHostThatStartsTheVMByItself(t *testing.T) {
	x := newFenced(t)
	x.vm.strict = true
	err := x.ask(recovery.Fenced, recovery.ShutGraceful)
	if !cdp.Is(err, cdp.Conflict) || !strings.Contains(cdp.HintOf(err), "autostart list") || !x.vm.on {
		t.Errorf("planned: %v, on: %v", err, x.vm.on)
	}
	if err = x.ask(recovery.Fenced, recovery.ShutNow); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "may be started again") || x.vm.on {
		t.Errorf("in an emergency: %v, on: %v", err, x.vm.on)
	}
	x.vm.strict = false
	x.must(x.ask(recovery.Fenced, recovery.ShutNow))
	x.is("off", true)
	x.startsByItself(false)
	x.f.deceive("SetAutoStart")
	if err := x.ask(recovery.Restored, ""); !cdp.Is(err, cdp.Transient) {
		t.Errorf("accepted, then aborted: %v", err)
	}
	x.must(x.a.refused(api.VMFence, x.req)) // once more
	x.is("on", false)
	x.startsByItself(true)
}

// An HA setting that cannot be changed stops no failover: HA restarts what ran when a host
// failed, and the fenced VM is off. The answer says what was left as it is.
func TestAnHASettingThatCannotBeChangedIsNamed(t *testing.T) {
	x := newFenced(t)
	x.vm.haStrict = true
	x.req.Turn++
	x.req.Want, x.req.Shutdown = recovery.Fenced, recovery.ShutGraceful
	if p := x.a.progress(api.VMFence, x.req); !p.Done || !strings.Contains(p.Text, "vSphere HA would restart it") || !strings.Contains(p.Text, "lacks a privilege") {
		t.Errorf("%+v", p)
	}
	x.is("off", true)
	x.vm.haStrict = false
	x.must(x.ask(recovery.Restored, ""))
	x.startsByItself(true)
}
