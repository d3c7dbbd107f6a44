package orchestrator_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/services/orchestrator"
)

type outside struct{ w *world }

func (o outside) Scripts() ([]string, error) {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	return o.w.scripts, nil
}

func (o outside) Script(ctx context.Context, file string, _, _ []string) (string, error) {
	return "moved", o.w.effect(ctx, "script "+file, false, func() {})
}

// Post notes what the run said of its first action.
func (o outside) Post(ctx context.Context, url string, body []byte) error {
	var r plan.Run
	if err := json.Unmarshal(body, &r); err != nil {
		return err
	}
	return o.w.effect(ctx, "post "+url+": "+r.Actions[0].Name+" is "+string(r.Actions[0].Status), false, func() {})
}

func (outside) Get(context.Context, string) (int, error) { return 204, nil }
func (outside) Dial(context.Context, string) error       { return nil }

func (o outside) Mail(ctx context.Context, m orchestrator.Mail) error {
	return o.w.effect(ctx, "mail "+strings.Join(m.To, " ")+": "+m.Subject, false, func() {})
}

// insides are guests, each of which runs what has one ID once.
type insides struct{ w *world }

func (i insides) Run(ctx context.Context, r orchestrator.GuestRun) (string, error) {
	i.w.mu.Lock()
	ran := i.w.running["guest "+r.ID]
	i.w.mu.Unlock()
	return "set", i.w.effect(ctx, r.File+" in "+r.VM+" as "+r.Login, ran, func() {
		i.w.running["guest "+r.ID], i.w.running["left of "+r.ID+" in "+r.VM] = true, true
	})
}

func (i insides) Forget(_ context.Context, r orchestrator.GuestRun) error {
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	delete(i.w.running, "left of "+r.ID+" in "+r.VM)
	return nil
}

// left is what scripts left in guests.
func (w *world) left() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for what := range w.running {
		if strings.HasPrefix(what, "left of ") {
			out = append(out, what)
		}
	}
	return out
}

// around is what conditions and triggers look at.
type around struct{ w *world }

func (a around) RPO(context.Context, string) (time.Duration, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	return a.w.rpo, nil
}
func (a around) Up(_ context.Context, _ cdp.Site, r api.UpRequest) (bool, string, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	err, down := a.w.down[r.VM+r.Host]
	return !down, r.VM + r.Host + " was looked at", err
}
func (a around) Status(_ context.Context, job string) (health.Group, error) {
	return health.Group{Job: job, State: health.Protected, ObjectiveSeconds: 5}, nil
}
func (around) Newest(context.Context, string) (time.Duration, error) { return time.Minute, nil }
func (around) Resolve(context.Context, api.ResolveRequest) error     { return nil }
func (a around) Reachable(_ context.Context, site cdp.Site) error {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	if a.w.gone[site] {
		return cdp.Errorf(cdp.Transient, "look", string(site), "nobody answers")
	}
	return nil
}

// machines are VMs by name, and whether they are on. The guest of deaf has no tools.
type machines struct {
	noVMs
	w *world
}

func (m machines) SetPower(ctx context.Context, r api.SetPowerRequest) (inventory.Power, error) {
	m.w.mu.Lock()
	on, known := m.w.running[r.VM]
	m.w.mu.Unlock()
	is := map[bool]inventory.Power{true: inventory.PoweredOn, false: inventory.PoweredOff}[on]
	switch {
	case !known:
		return "", cdp.Errorf(cdp.NotFound, "find VM", r.VM, "there is none")
	case r.DryRun:
		return is, nil
	case r.Want == inventory.PowerShutdown && on && r.VM == "deaf":
		return is, cdp.Errorf(cdp.Conflict, "shut down", r.VM, "VMware Tools are not running")
	}
	err := m.w.effect(ctx, string(r.Want)+" "+r.VM, is == r.Want.Power(), func() { m.w.running[r.VM] = r.Want == inventory.PowerStart })
	return r.Want.Power(), err
}

// VMs that a plan starts and shuts down are as before after a test, also those whose
// guests cannot shut down; in production they stay.
func TestAPlanStartsAndStopsVMs(t *testing.T) {
	const actions = `- {name: room, mode: both, power: {vm: build, do: shutdown}}
- {name: front, mode: both, power: {vm: front, do: start}}
- {name: helper, mode: both, power: {vm: deaf, do: start}}
- {name: as-it-is, mode: both, power: {vm: steady, do: start}}
- {name: say, email: {to: [ops@example.com]}}`
	for _, mode := range []recovery.Mode{recovery.Production, recovery.Test} {
		w := newWorld()
		for vm, on := range map[string]bool{"build": true, "front": false, "deaf": false, "steady": true} {
			w.running[vm] = on
		}
		w.vms = machines{w: w}
		s := w.service()
		begin(t, w, s, actions, mode)
		play(t, w, s, nil)
		if w.last().Phase != plan.Succeeded || w.effects["shutdown build"] != 1 || w.effects["mail ops@example.com: shop: running in "+string(mode)] != 1 {
			t.Errorf("%s: %+v %v", mode, w.last(), w.effects)
		}
		test := mode == recovery.Test
		for vm, on := range map[string]bool{"build": test, "front": !test, "deaf": !test, "steady": true} {
			if w.running[vm] != on {
				t.Errorf("%s: %s is on: %t", mode, vm, w.running[vm])
			}
		}
	}
}

// A webhook is told once what the run is. One that was in progress when the service was
// killed is not told again by itself: nobody knows whether it heard.
func TestAWebhookIsToldOnce(t *testing.T) {
	for n := 0; ; n++ {
		w := newWorld()
		s := w.service()
		begin(t, w, s, "- {name: db, failover: {job: db}}\n- {name: tell, critical: false, webhook: {url: \"http://x/hook\"}}", recovery.Production)
		killed := w.killAt(t, s, n)
		told, rec := w.effects["post http://x/hook: db is done"], w.last().Actions[1]
		interrupted := rec.Status == plan.GaveUp && strings.Contains(rec.Text, "nobody knows whether it had its effect")
		if told > 1 || told == 0 && !interrupted || w.last().Phase != plan.Succeeded {
			t.Fatalf("killed %s: told %d times; %+v", killed, told, w.last())
		}
		if killed == "" {
			return
		}
	}
}

// A script runs in the guest of the VM that a failover started, once, wherever the service is
// killed: of the test VM in a test, and of the replica in production, where it leaves nothing.
func TestAPlanRunsAScriptInAGuestOnce(t *testing.T) {
	for _, mode := range []recovery.Mode{recovery.Production, recovery.Test} {
		for n := 0; ; n++ {
			w := newWorld()
			w.looked = func(x *failoverrun.Run) { x.VM = &api.VMRun{UUID: string(x.Mode) + "-vm"} }
			s := w.service()
			begin(t, w, s, "- {name: db, failover: {job: db, to: vm}}\n- {name: set, guest: {job: db, file: move-dns, login: linux}}\n- {name: tell, guest: {vm: web01, file: move-dns, login: linux}}", mode)
			killed := w.killAt(t, s, n)
			other := map[recovery.Mode]int{recovery.Production: 1}[mode]
			if w.last().Phase != plan.Succeeded || w.last().Actions[1].Text != "set" || w.effects["move-dns in "+string(mode)+"-vm as linux"] != 1 || w.effects["move-dns in web01 as linux"] != other {
				t.Fatalf("%s, killed %s: %+v %v", mode, killed, w.last(), w.effects)
			}
			// The VM of a test goes with all that is in it.
			if left := w.left(); len(left) > 0 && mode == recovery.Production {
				t.Errorf("%s, killed %s: %v", mode, killed, left)
			}
			if killed == "" {
				break
			}
		}
	}
	w := newWorld()
	s := w.service()
	begin(t, w, s, "- {name: set, guest: {job: db, file: move-dns, login: linux}}", recovery.Production)
	play(t, w, s, nil)
	if rec := w.last().Actions[0]; rec.Status != plan.GaveUp || !strings.Contains(rec.Text, "no production failover of the job runs a VM here") {
		t.Errorf("%+v", rec)
	}
}

// What a plan's test shows is kept with the points that it used.
func TestATestsVerdictReachesThePoints(t *testing.T) {
	for check, want := range map[string]cdp.Verdict{`{port: "10.0.0.1:80"}`: cdp.Passed, "{reachable: prod}, timeout: 20200ms": cdp.Failed} {
		w := newWorld()
		s := w.service()
		begin(t, w, s, "- {name: db, failover: {job: db}}\n- {name: up, check: "+check+"}", recovery.Test)
		play(t, w, s, nil)
		if len(w.endings) != 1 || w.endings[0].Verdict != want || w.endings[0].Note == "" || w.endings[0].By != "site recovery job shop" {
			t.Errorf("%s: %+v", check, w.endings)
		}
	}
	w := newWorld()
	s := w.service()
	begin(t, w, s, "- {name: db, failover: {job: db}}\n- {name: out, cleanup: {job: db}}\n- {name: later, mode: test, check: {reachable: prod}, timeout: 20200ms}", recovery.Test)
	play(t, w, s, nil)
	if len(w.endings) != 1 || w.endings[0].Verdict != cdp.Passed {
		t.Errorf("cleaned up before the check that failed: %+v", w.endings)
	}
}
