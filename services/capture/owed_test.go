package capture

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/frame"
)

// moodyDisk cannot be read while bad is set.
type moodyDisk struct {
	Disk
	bad *atomic.Bool
}

func (d moodyDisk) ReadAt(p []byte, off int64) error {
	if d.bad.Load() {
		return errors.New("it cannot be read")
	}
	return d.Disk.ReadAt(p, off)
}

// Marks that come while a job cannot make a point, or before its capture is here, are
// not repeated before the next RPO. The point is made as soon as it can be.
func TestAPointThatWasDueIsMadeOnceItCanBe(t *testing.T) {
	var bad atomic.Bool
	s, x := newService(t, func(d *Deps) {
		d.Disk = func(path string, readOnly bool) (Disk, error) {
			f, err := openFile(path, readOnly)
			return moodyDisk{f, &bad}, err
		}
	})
	ctx := runService(t, s)
	disk := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(disk, bytes.Repeat([]byte{7}, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	key := jobKey{"dr", "web"}
	job := spec.ReplicationJob{Name: "web", RPO: spec.Duration(time.Hour),
		Source: spec.Source{Site: "prod", Capture: cdp.Inline, Listen: filepath.Join(t.TempDir(), "s"), Disks: []spec.SourceDisk{{Name: "disk", Path: disk}}},
		Target: spec.Target{Site: "dr"}}
	mark := func() {
		t.Helper()
		if _, err := s.answerMarks(ctx, api.MarksRequest{Marks: []api.Mark{{Group: "nowhere"}, {Group: "web"}}}); err != nil {
			t.Fatal(err)
		}
	}
	command := func() {
		t.Helper()
		e, err := event.New("mark", time.Now(), "/dr/scheduler", event.CaptureMark{Group: "web"})
		if err == nil {
			err = s.HandleMark(ctx, e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	points := func() (n int) {
		x.bus.with(func() {
			for _, raw := range x.bus.frames {
				if h, err := frame.ParseHeader(raw); err == nil && h.Has(frame.Marker|frame.Consistent) {
					n++
				}
			}
		})
		return n
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not in time; %d points", what, points())
			}
		}
	}
	mark() // before the job has come over the link
	s.jobs.setRunning(key, true)
	s.apply(ctx, key, &job)
	until("a point at the start", func() bool { return points() == 1 })

	bad.Store(true)
	g, err := s.groups.Group("web")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Reseed(); err != nil {
		t.Fatal(err)
	}
	mark()
	command()
	if points() != 1 {
		t.Fatal("a point in the middle of a copy")
	}
	bad.Store(false)
	until("a point when the copy is complete", func() bool { return points() == 2 })
	mark()
	until("a point that is due", func() bool { return points() == 3 })
}
