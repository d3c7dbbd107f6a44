package robustness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/e2e/robustness/sites"
	"tidemark.dev/pkg/cdp"
)

// hub is a recovery site that two others share, and that is protected itself.
type hub struct {
	*sites.Tree
	t *testing.T
	// east and west are protected at the hub; back is the hub's own, protected at
	// east, over the link that carries east's writes the other way.
	east, west, back *lane
}

func newHub(t *testing.T) *hub {
	t.Helper()
	rng, seed := newRand(t)
	dir := t.TempDir()
	h := &hub{t: t, Tree: sites.StartTree(t, dir, bin, "hub", "east", "west")}
	for i, x := range []struct {
		lane     **lane
		from, to cdp.Site
	}{{&h.east, "east", "hub"}, {&h.west, "west", "hub"}, {&h.back, "hub", "east"}} {
		w := newLane(t, rng, seed+uint64(i), filepath.Join(dir, string(x.from)+"-"+string(x.to)), x.from, x.to)
		w.tidemark = func(ctx context.Context, args ...string) (string, error) { return h.Tidemark(ctx, x.to, args...) }
		var err error
		if w.conn, err = h.Connect(t.Context(), x.to); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.conn.Close)
		t.Cleanup(func() { proc.ForgetWindows(w.job) })
		*x.lane = w
	}
	return h
}

func (h *hub) lanes() []*lane { return []*lane{h.east, h.west, h.back} }

// follows waits until a lane has a point that is newer than now.
func (h *hub) follows(w *lane) {
	h.t.Helper()
	since := time.Now()
	took := w.eventually("a new point of the job from "+string(w.from)+" to "+string(w.to), 60*time.Second, func() error {
		s, err := w.status()
		if err == nil && (s.Newest == nil || s.Newest.Time.Before(since)) {
			c, err := w.captureStatus()
			err = fmt.Errorf("journal: %s, %s, newest point %v; capture: %s, %s, %d frames on the way, %v", s.State, s.Reason, s.Newest, c.State, c.Reason, c.InFlight, err)
			return err
		}
		return err
	})
	h.t.Logf("a new point of the job from %s to %s after %v", w.from, w.to, took.Round(10*time.Millisecond))
}

// Two sites share a third one, which is protected at one of them: jobs in both
// directions over one link. Whatever happens to a link or a site costs the jobs
// over it some recovery points, and nothing else.
func TestHubAndSpokes(t *testing.T) {
	h := newHub(t)
	for _, w := range h.lanes() {
		w.protect("rollback")
		w.guests.Start()
	}
	for _, w := range h.lanes() {
		w.protected()
	}

	h.Links["east"].Cut()
	time.Sleep(2 * time.Second)
	h.follows(h.west) // its link is another one
	h.Links["east"].Heal()
	for _, w := range h.lanes() {
		h.follows(w)
	}

	h.Kill("hub")
	time.Sleep(2 * time.Second)
	h.Start("hub")
	for _, w := range h.lanes() {
		h.follows(w)
	}

	for _, w := range h.lanes() {
		w.settle()
		w.guests.Start()
	}

	// East captures one job and holds the journal of another. Both come back.
	h.Kill("east")
	h.follows(h.west)
	h.Start("east")
	for _, w := range h.lanes() {
		h.follows(w)
		w.settle()
	}

	// East is lost for good. What it had runs at the hub; west does not notice.
	h.Kill("east")
	h.east.must("failover", h.east.job, "--mode", "production")
	h.east.must("failover", "undo", h.east.job, "--yes")
	h.west.guests.Start()
	h.follows(h.west)
	h.west.settle()
}

// A spoke knows the hub and nobody else.
func TestSpokesDoNotSeeEachOther(t *testing.T) {
	h := newHub(t)
	w := h.west
	w.from, w.to = "west", "east"
	w.tidemark = func(ctx context.Context, args ...string) (string, error) { return h.Tidemark(ctx, "east", args...) }
	path := filepath.Join(w.dir, "job.yaml")
	if err := os.WriteFile(path, []byte(w.spec("rollback")), 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		_, err := w.tidemark(t.Context(), "apply", "-f", path)
		if err == nil {
			t.Fatal("a job between two sites that are not linked was taken")
		}
		if strings.Contains(err.Error(), "/spec/source/site") {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
