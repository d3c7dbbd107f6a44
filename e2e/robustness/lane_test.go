package robustness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/e2e/robustness/traffic"
	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// lane is one job of two disks from a site to another, and its guests.
type lane struct {
	t        *testing.T
	dir      string
	job      string
	mode     string
	from, to cdp.Site
	disks    []traffic.Disk
	guests   *traffic.Guests
	record   *traffic.Record
	conn     *bus.Conn // an operator's, at the target
	// tidemark is the command line, talking to the target.
	tidemark func(ctx context.Context, args ...string) (string, error)
	rng      *rand.Rand
	offers   map[cdp.FrameNo]cdp.Point // points that were ever offered
	alter    func(disks [][]byte)      // if set, alters what is read of each point
}

// newLane makes the disks and the guests, which do not run yet.
func newLane(t *testing.T, rng *rand.Rand, seed uint64, dir string, from, to cdp.Site) *lane {
	t.Helper()
	w := &lane{t: t, rng: rng, dir: dir, from: from, to: to, offers: map[cdp.FrameNo]cdp.Point{},
		job: fmt.Sprintf("r%d-%d", os.Getpid(), rng.Uint32())}
	for _, d := range []string{"disks", "sock"} {
		if err := os.MkdirAll(filepath.Join(w.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.disks = []traffic.Disk{
		{Name: "data", Path: filepath.Join(w.dir, "disks", "data.img"), Size: 6<<20 + 3*traffic.Sector},
		{Name: "log", Path: filepath.Join(w.dir, "disks", "log.img"), Size: 3<<20 + traffic.Sector},
	}
	var err error
	w.guests, err = traffic.New(traffic.Config{Disks: w.disks, Network: "unix", Address: w.socket(),
		Writers: 4, Every: 8 * time.Millisecond, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	w.record = w.guests.Record
	return w
}

// protect describes the job and starts it. The lane's sites must be up.
func (w *lane) protect(mode string) {
	w.t.Helper()
	w.apply(mode)
	w.must("job", "run", w.job, "--no-wait")
	w.t.Cleanup(w.guests.Stop)
}

// apply describes the job, in a mode of the journal.
func (w *lane) apply(mode string) {
	w.t.Helper()
	w.mode = mode
	path := filepath.Join(w.dir, "job.yaml")
	if err := os.WriteFile(path, []byte(w.spec(mode)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.must("apply", "-f", path)
}

func (w *lane) spec(mode string) string {
	return fmt.Sprintf(`apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: %s}
spec:
  source:
    site: %s
    capture: inline
    listen: %s
    disks: [{name: data, path: %s}, {name: log, path: %s}]
  target:
    site: %s
    disks: [{name: data, path: %s}, {name: log, path: %s}]
  rpo: 1s
  journal: {mode: %s, history: 1h}
`, w.job, w.from, w.socket(), w.disks[0].Path, w.disks[1].Path, w.to, w.replica(0), w.replica(1), mode)
}

// socket is where the guests' disks are served.
func (w *lane) socket() string { return filepath.Join(w.dir, "sock", "guest.sock") }

// replica is the image of a disk at the target.
func (w *lane) replica(disk int) string {
	return filepath.Join(w.dir, "replica-"+w.disks[disk].Name+".img")
}

// must runs a command that has to succeed; what is just starting is given time.
func (w *lane) must(args ...string) string {
	w.t.Helper()
	out, err := w.tidemark(w.t.Context(), args...)
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		out, err = w.tidemark(w.t.Context(), args...)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// eventually waits for ok, which says what is not so yet.
func (w *lane) eventually(what string, d time.Duration, ok func() error) time.Duration {
	w.t.Helper()
	began := time.Now()
	for {
		err := ok()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > d {
			w.t.Fatalf("not within %v: %s: %v", d, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// ask asks the journal.
func ask[R any](w *lane, endpoint string, in any) (r R, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	return r, w.conn.Request(ctx, w.to, subjects.Journal, endpoint, in, &r)
}

func (w *lane) group() api.GroupRequest { return api.GroupRequest{Group: cdp.GroupID(w.job)} }

// status is the journal's word about the group.
func (w *lane) status() (api.GroupStatus, error) {
	r, err := ask[api.StatusReply](w, api.JournalStatus, w.group())
	if err != nil {
		return api.GroupStatus{}, err
	}
	return r.Groups[0], nil
}

// captureStatus is capture's word, over the link.
func (w *lane) captureStatus() (api.CaptureGroup, error) { return w.captureOver(w.conn) }

// captureOver is capture's word, over a connection.
func (w *lane) captureOver(conn *bus.Conn) (api.CaptureGroup, error) {
	var r api.CaptureStatusReply
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
	defer cancel()
	if err := conn.Request(ctx, w.from, subjects.Capture, api.CaptureStatus, w.group(), &r); err != nil {
		return api.CaptureGroup{}, err
	}
	if len(r.Groups) != 1 {
		return api.CaptureGroup{}, fmt.Errorf("capture does not know the job")
	}
	return r.Groups[0], nil
}

// protected waits until recovery points come.
func (w *lane) protected() {
	w.t.Helper()
	took := w.eventually("the first recovery point", 60*time.Second, func() error {
		s, err := w.status()
		if err == nil && s.Points == 0 {
			err = fmt.Errorf("no points: %s, %s", s.State, s.Reason)
		}
		return err
	})
	w.t.Logf("the first recovery point came after %v", took.Round(10*time.Millisecond))
}
