package vcenter_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/event"
	"tidemark.dev/pkg/vms"
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

// A vCenter that is down is told once, and when it is back.
func TestVCenterIsLost(t *testing.T) {
	w := newWorld(t)
	_, err := w.b.c.Inventory(w.ctx)
	w.must(err)
	for i := range 2 {
		w.b.sim.Stop()
		w.until("its loss is told", func() bool { return len(w.alarms(event.AlarmSessionLost)) == 2*i+1 })
		time.Sleep(time.Second) // it is lost still, and that is known
		w.must(w.b.sim.Resume())
		w.until("its return is told", func() bool { return len(w.alarms(event.AlarmSessionLost)) == 2*i+2 })
	}
	for i, text := range w.alarms(event.AlarmSessionLost) {
		if again := strings.Contains(text, "answers again"); again != (i%2 == 1) {
			t.Errorf("alarm %d: %s", i, text)
		}
	}
}

// watched is a vCenter that can be watched, and no more.
type watched struct {
	vcenter.VCenter
	about vms.About
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

// behind is a service whose vCenter is behind a door; it notes what it warned of.
func (w *world) behind(d *door, recs *records) (stop func(), warned func() []string) {
	var mu sync.Mutex
	var warnings []string
	svc := vcenter.New(vcenter.Config{Beat: 20 * time.Millisecond}, vcenter.Deps{
		VCenter: d.get, Site: func(context.Context) (vcenter.Site, error) { return vcenter.Site{Name: "b"}, nil },
		Jobs: jobsOf{w, "none"}, Groups: groupsOf{w}, Records: recs, Events: eventsOf{w}, Clock: realClock{},
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

// A password that is refused is told at once, also where the connection of before
// would still do.
func TestPasswordIsRefused(t *testing.T) {
	w := bare(t)
	vc := &watched{about: vms.About{UUID: "1"}}
	d := &door{vc: vc}
	stop, warned := w.behind(d, w.empty())
	defer stop()
	time.Sleep(100 * time.Millisecond) // it is watched
	d.set(nil, cdp.Errorf(cdp.Invalid, "log in to vCenter", "vc.b", "the user name or the password is wrong"))
	w.until("it is told", func() bool { return len(w.alarms(event.AlarmSessionLost)) > 0 })
	time.Sleep(200 * time.Millisecond)
	if all := w.alarms(event.AlarmSessionLost); len(all) != 1 || !strings.Contains(all[0], "password is wrong") {
		t.Error("told:", all)
	}
	if all := warned(); len(all) != 1 || !strings.Contains(all[0], "password is wrong") {
		t.Error("warned of:", all)
	}
	d.set(vc, nil)
	w.until("its return is told", func() bool { return len(w.alarms(event.AlarmSessionLost)) == 2 })
}
