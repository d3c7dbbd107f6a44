package vcenter_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// Each place to kill at takes a round of its own, so there are only some of them
// in a run; by the odd step both kinds of place come about.
var (
	every = flag.Int("every", 11, "kill at every n-th place: 1 for all")
	from  = flag.Int("from", -1, "the first place to kill at, below -every; -1 for a random one")
)

// killing kills the service of a site at calls that change something at the
// vCenter, before the call had its effect or after, and starts it again. A round
// does everything once and gives a picture of what is there then: it must be the
// one without a kill. retry runs do until it is not killed any more. Calls before
// first are another test's.
func (e *end) killing(round func(f *faulty, retry func(do func() error)) string, first func() int) {
	t := e.w.t
	t.Helper()
	f := &faulty{VCenter: e.vc}
	e.stop()
	e.vc = f
	e.start()
	once := func(at int, after bool) string {
		f.set(at, after)
		return round(f, func(do func() error) {
			t.Helper()
			for {
				err := do()
				if err == nil {
					return
				}
				if !cdp.Is(err, cdp.Transient) {
					t.Fatalf("killed at %d (%s, after: %v), then: %v", at, f.was(), after, err)
				}
				e.stop()
				e.start()
			}
		})
	}
	want := once(0, false)
	places := 2 * (f.calls() + 1 - first()) // of each call, before and after
	start := *from
	if start < 0 {
		start = rand.IntN(min(*every, places))
	}
	t.Logf("%d calls; killed at -every %d -from %d", places/2, *every, start)
	for p := start; p < places; p += *every {
		at, after := first()+p/2, p%2 == 1
		if got := once(at, after); got != want {
			t.Fatalf("killed at %d (%s, after: %v):\n%s\nwithout:\n%s", at, f.was(), after, got, want)
		}
	}
}

func TestAnInterruptedFailoverContinues(t *testing.T) {
	for name, c := range map[string]struct {
		test  bool
		same  int // how many of the steps another case has, too
		steps []string
	}{
		"undo":   {false, 0, []string{api.VMAttach, api.VMBoot, api.VMStop, api.VMReturn}},
		"commit": {false, 2, []string{api.VMAttach, api.VMBoot, api.VMKeep}},
		"test":   {true, 0, []string{api.VMBuild, api.VMAttach, api.VMBoot, api.VMStop, api.VMRemove}},
	} {
		t.Run(name, func(t *testing.T) {
			w := failover(t, func(j *spec.VMJob) {
				j.Target.ReIP = []inventory.ReIP{{VM: "web01", IP: "192.0.2.5/24"}}
			})
			w.b.stop()
			w.b.start()
			first := 1
			w.b.killing(func(f *faulty, retry func(func() error)) string {
				w.until("it is ready", func() bool { return w.states()["web01"] == "ready" })
				for i, s := range c.steps {
					if i > 0 && i == c.same && f.never() {
						first = f.calls() + 1
					}
					retry(func() error { _, err := w.tryStep(s, c.test); return err })
				}
				f.calm()
				if name == "commit" { // so that there is something to go on with
					return w.uncommit()
				}
				return w.picture(w.b)
			}, func() int { return first })
		})
	}
}

func TestInterruptedPreparationAndDeletionContinue(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	w.b.killing(func(f *faulty, retry func(func() error)) string {
		killed := func() bool { return f.was() != "" }
		restarted := killed()
		again := func() {
			if killed() && !restarted {
				restarted = true
				w.b.stop()
				w.b.start()
			}
		}
		w.apply(shop(w.b))
		w.until("it is ready", func() bool { again(); return w.states()["web01"] == "ready" })
		got := w.picture(w.b)
		retry(func() error {
			for {
				p, err := ask[api.Progress](w.ctx, w.b, api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
				if err != nil || p.Done {
					return err
				}
			}
		})
		w.unapply("shop")
		w.until("nothing is recorded", w.nothingRecorded)
		f.calm()
		return got + w.picture(w.b)
	}, func() int { return 1 })
}

func TestInterruptedFreezeAndThawContinue(t *testing.T) {
	w := newWorld(t)
	src, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	var keys []int32
	for _, d := range v.Hardware.Disks {
		keys = append(keys, d.Key)
	}
	w.a.killing(func(f *faulty, retry func(func() error)) string {
		retry(func() error {
			for {
				r, err := ask[api.FreezeReply](w.ctx, w.a, api.VMFreeze, api.FreezeRequest{Group: "shop-web01", VM: src.UUID, Keys: keys, Pass: "1"})
				if err != nil || r.Done {
					return err
				}
			}
		})
		frozen, _ := w.vm(w.a, "transporter")
		if len(frozen.Hardware.Disks) != 1+len(keys) {
			t.Fatalf("%+v", frozen.Hardware.Disks)
		}
		retry(func() error {
			for {
				p, err := ask[api.Progress](w.ctx, w.a, api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: src.UUID})
				if err != nil || p.Done {
					return err
				}
			}
		})
		f.calm()
		return w.picture(w.a)
	}, func() int { return 1 })
}
