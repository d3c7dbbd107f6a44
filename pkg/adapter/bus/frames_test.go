package bus_test

import (
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

type rig struct {
	t        testing.TB
	sites    *bustest.Sites
	src, dst *bus.Conn
	group    cdp.GroupID
	max      int64
}

func newRig(t testing.TB, maxBytes int64) *rig {
	s := bustest.Start(t, bustest.Secured) // each side has its role's permissions only
	return &rig{t: t, sites: s, src: s.Connect("prod", "capture"), dst: s.Connect("dr", "journal"), group: "vm1", max: maxBytes}
}

func (r *rig) Sink(t testing.TB) spool.Sink {
	t.Helper()
	s, err := bus.OpenFrames(t.Context(), r.src, r.group, "dr", r.max)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (r *rig) Source(t testing.TB) spool.Source {
	t.Helper()
	s, err := bus.OpenSource(r.dst, "prod", r.group)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *rig) Cut()   { r.sites.Link.Cut() }
func (r *rig) Heal()  { r.sites.Link.Heal() }
func (r *rig) Stop()  { r.sites.Prod.Close() }
func (r *rig) Start() { r.sites.StartProd() }
func (r *rig) Lose() {
	r.t.Helper()
	if err := bus.DeleteFrames(r.t.Context(), r.src, r.group); err != nil {
		r.t.Fatal(err)
	}
}

func TestFrameStreamContract(t *testing.T) {
	spooltest.Contract(t, func(tb testing.TB, max int64) spooltest.Rig { return newRig(tb, max) })
}

func TestSlowLink(t *testing.T) {
	r := newRig(t, 64<<20)
	r.sites.Link.Delay(20 * time.Millisecond)
	s, src := r.Sink(t), r.Source(t)
	const n = 200
	for no := cdp.FrameNo(1); no <= n; no++ {
		if err := s.Publish(spooltest.Make(no, 1, 64<<10)); err != nil {
			t.Fatal(err)
		}
	}
	next := cdp.FrameNo(1)
	done := cdp.Errorf(cdp.Internal, "stop", "", "done")
	err := src.Pull(t.Context(), 1, nil, func(m spool.Message) error {
		if m.No != next {
			t.Errorf("frame %d, want %d", m.No, next)
		}
		if next++; next > n {
			return done
		}
		return nil
	})
	if err != done {
		t.Fatal(err)
	}
}
