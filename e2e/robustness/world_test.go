package robustness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/e2e/robustness/sites"
	"tidemark.dev/e2e/robustness/traffic"
	"tidemark.dev/e2e/robustness/validate"
	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// world is two sites with one job of two disks, and its guests.
type world struct {
	*sites.Pair
	t      *testing.T
	dir    string
	job    string
	mode   string
	disks  []traffic.Disk
	guests *traffic.Guests
	record *traffic.Record
	conn   *bus.Conn
	rng    *rand.Rand
	offers map[cdp.FrameNo]cdp.Point // points that were ever offered
	// machine is what capture finds at other paths, by path here: see elsewhere.
	machine map[string]string
}

// option changes a world before it starts.
type option func(*world, *sites.Config)

func upAsOne(_ *world, c *sites.Config) { c.Up = true }

func newWorld(t *testing.T, mode string, opts ...option) *world {
	t.Helper()
	rng, seed := newRand(t)
	w := &world{t: t, mode: mode, rng: rng, dir: t.TempDir(), offers: map[cdp.FrameNo]cdp.Point{},
		job: fmt.Sprintf("r%d-%d", os.Getpid(), rng.Uint32())}
	if *keepFlag != "" {
		w.dir = filepath.Join(*keepFlag, strings.ReplaceAll(t.Name(), "/", "-"))
		if err := os.MkdirAll(w.dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cfg := sites.Config{Dir: w.dir, Bin: bin, Job: w.job}
	for _, o := range opts {
		o(w, &cfg)
	}
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
	if w.machine != nil {
		cfg.Capture = func(p *proc.Process) { onMachine(p, w.machine) }
	}
	w.Pair = sites.Start(t, cfg)
	if w.conn, err = w.Connect(t.Context(), "dr"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.conn.Close)
	w.apply(mode)
	w.must("job", "run", w.job)
	t.Cleanup(w.guests.Stop)
	return w
}

// apply describes the job, in a mode of the journal.
func (w *world) apply(mode string) {
	w.t.Helper()
	w.mode = mode
	path := filepath.Join(w.dir, "job.yaml")
	text := fmt.Sprintf(`apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: %s}
spec:
  source:
    site: prod
    capture: inline
    listen: %s
    disks: [{name: data, path: %s}, {name: log, path: %s}]
  target:
    site: dr
    disks: [{name: data, path: %s}, {name: log, path: %s}]
  rpo: 1s
  journal: {mode: %s, history: 1h}
`, w.job, w.socket(), w.disks[0].Path, w.disks[1].Path, w.replica(0), w.replica(1), mode)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.must("apply", "-f", path)
}

// socket is where the guests' disks are served.
func (w *world) socket() string { return filepath.Join(w.dir, "sock", "guest.sock") }

// replica is the image of a disk at the target.
func (w *world) replica(disk int) string {
	return filepath.Join(w.dir, "replica-"+w.disks[disk].Name+".img")
}

// must runs a command that has to succeed; what is just starting is given time.
func (w *world) must(args ...string) string {
	w.t.Helper()
	out, err := w.Tidemark(w.t.Context(), args...)
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		out, err = w.Tidemark(w.t.Context(), args...)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// eventually waits for ok, which says what is not so yet.
func (w *world) eventually(what string, d time.Duration, ok func() error) time.Duration {
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
func ask[R any](w *world, endpoint string, in any) (r R, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	return r, w.conn.Request(ctx, "dr", subjects.Journal, endpoint, in, &r)
}

func (w *world) group() api.GroupRequest { return api.GroupRequest{Group: cdp.GroupID(w.job)} }

// status is the journal's word about the group.
func (w *world) status() (api.GroupStatus, error) {
	r, err := ask[api.StatusReply](w, api.JournalStatus, w.group())
	if err != nil {
		return api.GroupStatus{}, err
	}
	return r.Groups[0], nil
}

// captureStatus is capture's word, over the link.
func (w *world) captureStatus() (api.CaptureGroup, error) { return w.captureOver(w.conn) }

// captureOver is capture's word, over a connection.
func (w *world) captureOver(conn *bus.Conn) (api.CaptureGroup, error) {
	var r api.CaptureStatusReply
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
	defer cancel()
	if err := conn.Request(ctx, "prod", subjects.Capture, api.CaptureStatus, w.group(), &r); err != nil {
		return api.CaptureGroup{}, err
	}
	if len(r.Groups) != 1 {
		return api.CaptureGroup{}, fmt.Errorf("capture does not know the job")
	}
	return r.Groups[0], nil
}

// protected waits until recovery points come.
func (w *world) protected() {
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

// read reads the disks at a point, through a read-only export.
func (w *world) read(p cdp.Point) [][]byte {
	w.t.Helper()
	x, err := ask[api.Export](w, api.JournalOpen, api.OpenRequest{Group: cdp.GroupID(w.job), ID: "v" + p.ID(), Seq: p.Seq, Purpose: "export"})
	if err != nil {
		w.t.Fatalf("the point %s is offered and cannot be opened: %v", p.ID(), err)
	}
	out := w.readExport(x)
	if _, err := ask[api.Empty](w, api.JournalClose, api.CloseRequest{Group: cdp.GroupID(w.job), ID: x.ID}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) readExport(x api.Export) (out [][]byte) {
	w.t.Helper()
	for _, d := range x.Disks {
		c := w.dial(d.URI)
		b := make([]byte, c.Size())
		_, err := c.ReadAt(b, 0)
		c.Close()
		if err != nil {
			w.t.Fatalf("read %s of %s: %v", d.Name, x.ID, err)
		}
		out = append(out, b)
	}
	return out
}

// dial connects to an NBD URI.
func (w *world) dial(uri string) *nbd.Client {
	w.t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		w.t.Fatal(err)
	}
	network, addr := "tcp", u.Host
	if u.Scheme == "nbd+unix" {
		network, addr = "unix", u.Query().Get("socket")
	}
	c, err := nbd.Dial(w.t.Context(), network, addr, strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// sampled is how many points are read besides the newest.
const sampled = 12

// points are those offered now. What was offered stays offered.
func (w *world) points() []cdp.Point {
	w.t.Helper()
	var r api.PointsReply
	w.eventually("the list of points", 30*time.Second, func() (err error) {
		r, err = ask[api.PointsReply](w, api.JournalPoints, w.group())
		return err
	})
	now := map[cdp.FrameNo]bool{}
	for i, p := range r.Points {
		now[p.Frame] = true
		if i > 0 && r.Points[i-1].Seq > p.Seq {
			w.t.Errorf("point %s is at write %d, %s before it at %d", p.ID(), p.Seq, r.Points[i-1].ID(), r.Points[i-1].Seq)
		}
		if o, ok := w.offers[p.Frame]; ok && o.Seq != p.Seq {
			w.t.Errorf("point %s was at write %d, and is at %d", p.ID(), o.Seq, p.Seq)
		}
		w.offers[p.Frame] = p
	}
	for no, p := range w.offers {
		if !now[no] {
			w.t.Errorf("point %s of %v was offered, and is gone", p.ID(), p.Time)
		}
	}
	return r.Points
}

// slack is how far apart the clocks of two processes of this machine are taken
// to be, beyond what the product says.
const slack = int64(2 * time.Millisecond)

// validate reads a sample of the points and the newest, and holds them to the
// record. must: the newest has everything answered before this, 0 for what the
// marker's time says.
func (w *world) validate(must int64) (newest [][]byte) {
	w.t.Helper()
	newest, bad := w.judge(w.record.Writes(), must)
	for _, b := range bad {
		w.t.Error(b)
	}
	for _, f := range w.record.Failures() {
		w.t.Errorf("a guest was given an error: %s", f)
	}
	return newest
}

// judge says what is wrong with the points, by these writes.
func (w *world) judge(writes []traffic.Write, must int64) (newest [][]byte, bad []string) {
	w.t.Helper()
	points := w.points()
	if len(points) == 0 {
		w.t.Fatal("no points are offered")
	}
	last := points[len(points)-1]
	w.rng.Shuffle(len(points)-1, func(i, j int) { points[i], points[j] = points[j], points[i] })
	points = append(points[:min(sampled, len(points)-1)], last)
	slices.SortFunc(points, func(a, b cdp.Point) int { return int(int64(a.Frame) - int64(b.Frame)) })
	read := make([][][]byte, len(points))
	for i, p := range points {
		read[i] = w.read(p)
	}
	newest = read[len(read)-1]
	h := validate.New(w.record.Run, writes, w.sizes())
	for i, p := range points {
		at := w.record.At(p.Time)
		x := validate.Point{Name: p.ID(), Disks: read[i], Must: at - int64(p.Bound) - slack, Until: at + int64(p.Bound) + slack}
		if p.Frame == last.Frame && must > 0 {
			x.Must = must
		}
		bad = append(bad, h.Check(x)...)
	}
	return newest, bad
}

func (w *world) sizes() (out []int64) {
	for _, d := range w.disks {
		out = append(out, d.Size)
	}
	return out
}

// settle stops the guests, waits until replication has settled, and checks that
// nothing is missing: the newest point is the source's disks, to the byte.
func (w *world) settle() {
	w.t.Helper()
	w.guests.Stop()
	must := w.record.Now()
	took := w.eventually("settled", 90*time.Second, func() error {
		_, err := w.Tidemark(w.t.Context(), "point", "create", w.job, "--timeout", "4s")
		return err
	})
	began := time.Now()
	newest := w.validate(must)
	disks, err := w.guests.Images()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, bad := range validate.Same("the newest point", newest, disks) {
		w.t.Error(bad)
	}
	w.t.Logf("settled in %v, %d writes, %d points, checked in %v", took.Round(10*time.Millisecond), len(w.record.Writes()), len(w.offers), time.Since(began).Round(10*time.Millisecond))
	if w.t.Failed() {
		w.t.FailNow()
	}
}
