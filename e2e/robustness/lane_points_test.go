package robustness

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"tidemark.dev/e2e/robustness/traffic"
	"tidemark.dev/e2e/robustness/validate"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// read reads the disks at a point, through a read-only export.
func (w *lane) read(p cdp.Point) [][]byte {
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

func (w *lane) readExport(x api.Export) (out [][]byte) {
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
func (w *lane) dial(uri string) *nbd.Client {
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
func (w *lane) points() []cdp.Point {
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
func (w *lane) validate(must int64) (newest [][]byte) {
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
func (w *lane) judge(writes []traffic.Write, must int64) (newest [][]byte, bad []string) {
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
		if w.alter != nil {
			w.alter(read[i])
		}
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

func (w *lane) sizes() (out []int64) {
	for _, d := range w.disks {
		out = append(out, d.Size)
	}
	return out
}

// settle stops the guests, waits until replication has settled, and checks that
// nothing is missing: the newest point is the source's disks, to the byte.
func (w *lane) settle() {
	w.t.Helper()
	w.guests.Stop()
	must := w.record.Now()
	took := w.eventually("settled", 90*time.Second, func() error {
		_, err := w.tidemark(w.t.Context(), "point", "create", w.job, "--timeout", "4s")
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
