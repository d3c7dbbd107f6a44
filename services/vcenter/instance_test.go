package vcenter_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/services/vcenter"
)

// alarms are the texts of a kind, in their order, of the site b.
func (w *world) alarms(kind string) (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.events {
		if a, ok := p.(event.VCenterAlarm); ok && a.Kind == kind && a.Site == "b" {
			out = append(out, a.Text)
		}
	}
	return out
}

// Another alarm says when it is back.
func TestALostVCenterRaisesOneAlarm(t *testing.T) {
	w := newWorld(t)
	_, err := w.b.c.Inventory(w.ctx)
	w.must(err)
	for i := range 2 {
		w.b.sim.Stop()
		w.until("its loss is reported", func() bool { return len(w.alarms(event.AlarmSessionLost)) == 2*i+1 })
		time.Sleep(time.Second) // it is lost still, and that is known
		w.must(w.b.sim.Resume())
		w.until("its return is reported", func() bool { return len(w.alarms(event.AlarmSessionLost)) == 2*i+2 })
	}
	for i, text := range w.alarms(event.AlarmSessionLost) {
		if again := strings.Contains(text, "own vCenter answers again"); again != (i%2 == 1) {
			t.Errorf("alarm %d: %s", i, text)
		}
	}
}

// watched is a vCenter that can be watched, and no more.
type watched struct {
	vcenter.VCenter
	about inventory.About
}

func (v *watched) Watch(ctx context.Context, changed func()) error {
	changed()
	<-ctx.Done()
	return ctx.Err()
}

// door is a connection that is given, or refused.
type door struct {
	mu  sync.Mutex
	vc  vcenter.VCenter
	err error
}

func (d *door) set(vc vcenter.VCenter, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.vc, d.err = vc, err
}

func (d *door) get(context.Context) (vcenter.VCenter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.vc, d.err
}

// behind is a service with a door in front of its vCenter; it collects its notifications.
func (w *world) behind(d *door, recs *records, instance string) (stop func(), warned func() []string) {
	var mu sync.Mutex
	var warnings []string
	svc := vcenter.New(vcenter.Config{Beat: 20 * time.Millisecond}, vcenter.Deps{
		VCenter: d.get, Site: func(context.Context) (vcenter.Site, error) { return vcenter.Site{Name: "b", Instance: instance}, nil },
		Jobs: jobsOf{w, "none"}, Groups: groupsOf{w, ""}, Sourced: sourcedOf{jobsOf{w, "none"}, groupsOf{w, ""}}, Records: recs, Events: eventsOf{w}, Clock: clock.System,
		Notify: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			warnings = append(warnings, err.Error())
		},
	})
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = svc.Run(ctx) }()
	stop = func() { cancel(); <-done }
	return stop, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), warnings...)
	}
}

func (w *world) empty() *records { return &records{m: map[string]record{}} }

func bare(t *testing.T) *world {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return &world{t: t, ctx: ctx}
}

// Also while the old session still works.
func TestARefusedPasswordRaisesAnAlarmAtOnce(t *testing.T) {
	w := bare(t)
	vc := &watched{about: inventory.About{UUID: "1"}}
	d := &door{vc: vc}
	stop, warned := w.behind(d, w.empty(), "")
	defer stop()
	time.Sleep(100 * time.Millisecond) // it is watched
	d.set(nil, cdp.Errorf(cdp.Invalid, "log in to vCenter", "vc.b", "the user name or the password is wrong"))
	w.until("it is reported", func() bool { return len(w.alarms(event.AlarmSessionLost)) > 0 })
	time.Sleep(200 * time.Millisecond)
	if all := w.alarms(event.AlarmSessionLost); len(all) != 1 || !strings.Contains(all[0], "password is wrong") {
		t.Error("alarms:", all)
	}
	if all := warned(); len(all) != 1 || !strings.Contains(all[0], "password is wrong") {
		t.Error("warned of:", all)
	}
	d.set(vc, nil)
	w.until("its return is reported", func() bool { return len(w.alarms(event.AlarmSessionLost)) == 2 })
}

func (v *watched) About(context.Context) (inventory.About, error) { return v.about, nil }

// posing is a site's vCenter, until another one answers at its address: an empty
// one.
type posing struct {
	vcenter.VCenter
	mu   sync.Mutex
	uuid string
}

func (p *posing) as(uuid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.uuid = uuid
}

func (p *posing) is() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uuid
}

func (p *posing) About(ctx context.Context) (inventory.About, error) {
	about, err := p.VCenter.About(ctx)
	if uuid := p.is(); uuid != "" {
		about.UUID = uuid
	}
	return about, err
}

func (p *posing) Inventory(ctx context.Context) (inventory.Inventory, error) {
	inv, err := p.VCenter.Inventory(ctx)
	if p.is() != "" {
		inv.VMs = nil
	}
	return inv, err
}

// If another vCenter answers at the address of the source or target, nothing that
// runs is stopped.
func TestNothingIsDoneAtAnotherVCenter(t *testing.T) {
	w := newWorld(t)
	ends := map[*end]*posing{w.a: {VCenter: w.a.c}, w.b: {VCenter: w.b.c}}
	for e, p := range ends {
		e.stop()
		e.vc = p
		e.start()
	}
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	w.apply(shop(w.b))
	w.must(w.b.tell(api.VMJobRun, api.VMJobName{Job: "shop"}))
	w.until("it runs", func() bool { return w.states()["web01"] == "ready" && w.runs("shop-web01") })
	for e, p := range ends {
		p.as("11111111-2222-3333-4444-555555555555")
		check := func() error {
			_, err := ask[api.SiteCheck](w.ctx, e, api.VCenterCheck, api.Empty{})
			return err
		}
		w.until("it is refused", func() bool { return check() != nil })
		if err := check(); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "11111111-2222") || !strings.Contains(cdp.HintOf(err), "spec.vsphere.instance") {
			t.Errorf("at %s: %v; %s", e.name, err, cdp.HintOf(err))
		}
		w.until("it is reported", func() bool { return w.reported("Site:" + string(e.name) + " Kind:" + event.AlarmOtherVCenter) })
		time.Sleep(2 * time.Second) // some looks
		if w.states()["web01"] != "ready" || !w.runs("shop-web01") {
			t.Errorf("another vCenter at %s: the VM is %s, its job runs: %v", e.name, w.states()["web01"], w.runs("shop-web01"))
		}
		p.as("")
		w.until("it is the old one", func() bool { return check() == nil })
		w.until("that is reported", func() bool {
			return w.reported("Site:" + string(e.name) + " Kind:" + event.AlarmOtherVCenter + " Subject:vCenter Text:the site's own")
		})
	}
}

// The site's vCenter is known after a restart.
func TestASiteCanAcceptAnotherVCenter(t *testing.T) {
	w := bare(t)
	recs := w.empty()
	one, two := &watched{about: inventory.About{UUID: "uuid-1"}}, &watched{about: inventory.About{UUID: "uuid-2"}}
	told := func(n int) func() bool {
		return func() bool { return len(w.alarms(event.AlarmOtherVCenter)) == n }
	}
	pinned := func(uuid string) func() bool {
		return func() bool {
			raw, _, err := recs.Get(w.ctx, "instance")
			return err == nil && strings.Contains(string(raw), uuid)
		}
	}
	d := &door{vc: one}
	stop, _ := w.behind(d, recs, "")
	w.until("it is known", pinned("uuid-1"))
	stop()
	d = &door{vc: two}
	stop, _ = w.behind(d, recs, "")
	w.until("it is refused", told(1))
	stop()
	stop, _ = w.behind(d, recs, "uuid-3")
	w.until("it is refused, because the Site names a third one", told(2))
	stop()
	stop, _ = w.behind(d, recs, "uuid-2")
	w.until("it is taken", pinned("uuid-2"))
	stop()
	stop, _ = w.behind(&door{vc: one}, recs, "")
	w.until("the old one is refused now", told(3))
	stop()
}

// It does not say that the service is.
func TestJobCheckSaysThatTheSourcesVCenterIsDown(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	w.a.sim.Stop()
	defer func() { w.must(w.a.sim.Resume()) }()
	w.until("it is reported", func() bool {
		r, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
		w.must(err)
		if len(r.Problems) == 0 {
			return false // what was read before will do for a moment
		}
		p := r.Problems[len(r.Problems)-1]
		if p.Path != "/spec/source/site" || p.Rule != inventory.RuleUnreachable || strings.Contains(p.Text, "vcenter service") || !strings.Contains(p.Text, "127.0.0.1") {
			t.Errorf("%+v", p)
		}
		return true
	})
}
