package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// TestScripts runs the scripts in testdata: a group as it is, on a simulated
// clock, with a stream and a journal in memory. They are rewritten with what the
// code does by: go test ./services/capture -run TestScripts -rewrite
//
//	start mode=inline|tap|cbt [frozen]  one disk of 4 MiB, of which 256 KiB are
//	                                    allocated; a window of 4 frames; a cycle a minute
//	kill | stop | restart               the capturer dies, is stopped, is started again
//	write at=KiB n=KiB                  a guest's write
//	miss at=KiB n=KiB                   one that nobody reports
//	mark [requested]                    a recovery point is asked for
//	wait D                              time passes
//	stream up|down|empty                empty: it lost its frames
//	link up|down                        between stream and journal
//	journal                             the journal stores what the stream has
//	takeover                            another capturer publishes a frame
//	copy-started | synced               of a copying tap
//	connect | live | unlive | goodbye | vanish   of a frozen tap's client
//	last-point off|on                   asked for with its machine off or on
//	status                              prints the state
//
// Each prints the changes of state with their reason, alarms, and what reached the
// stream.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(t)
			defer s.end()
			datadriven.RunTest(t, path, s.exec)
		})
	})
}

type script struct {
	t    *testing.T
	bus  *bus
	vm   *scriptVM
	log  chan string
	job  Job
	cfg  Config
	deps GroupDeps
	g    *Group
	seen cdp.FrameNo // the last frame that was printed
	out  strings.Builder
}

func newScript(t *testing.T) *script {
	dir := t.TempDir()
	s := &script{t: t, bus: newBus(1), log: make(chan string, 1024)}
	s.bus.dense, s.bus.oracles = true, nil
	path := filepath.Join(dir, "disk")
	if err := errors.Join(os.WriteFile(path, bytes.Repeat([]byte{1}, 256<<10), 0o600), os.Truncate(path, 4<<20)); err != nil {
		t.Fatal(err)
	}
	s.job = Job{Group: "web", Disks: []JobDisk{{Disk: cdp.Disk{Name: "disk", Size: 4 << 20}, Path: path}}}
	s.vm = &scriptVM{path: path}
	s.cfg = Config{StateDir: filepath.Join(dir, "state"), WindowDir: filepath.Join(dir, "window"), Slots: 4}
	s.deps = GroupDeps{Stream: func(cdp.GroupID) (Stream, error) { return s.bus.open(), nil },
		Epochs: epochs{s.bus}, Journal: journal{s.bus}, Events: printer{s}, Boot: "boot", Disk: openFile, Snapshots: s.vm}
	return s
}

// printer is Events: what happens is a line of the script's output.
type printer struct{ s *script }

func (p printer) StateChanged(c Change) {
	p.s.log <- fmt.Sprintf("%s -> %s: %s", c.From, c.To, c.Reason)
}
func (p printer) Progress(Progress)                     {}
func (p printer) ListenerFailed(_ cdp.GroupID, e error) { p.s.log <- "listener failed: " + e.Error() }
func (p printer) Alarm(_ cdp.GroupID, kind AlarmKind, text string) {
	p.s.log <- "alarm " + kind + ": " + text
}

func (s *script) exec(t *testing.T, d *datadriven.TestData) string {
	s.t = t
	s.out.Reset()
	if err := s.do(d); err != nil {
		fmt.Fprintf(&s.out, "error: %v\n", err)
		if hint := cdp.HintOf(err); hint != "" {
			fmt.Fprintf(&s.out, "hint: %s\n", hint)
		}
	}
	s.print()
	return s.out.String()
}

// print waits until nothing moves any more without time passing, and prints what
// happened.
func (s *script) print() {
	synctest.Wait()
	for len(s.log) > 0 {
		fmt.Fprintln(&s.out, <-s.log)
	}
	s.printFrames()
}

// printFrames prints what reached the stream since the last time, however it was
// cut into frames.
func (s *script) printFrames() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	var last frame.Frame
	var points []string
	writes, copied := 0, int64(0)
	for no := s.seen + 1; no <= s.bus.last; no++ {
		f, err := frame.Parse(s.bus.frames[no])
		if err != nil {
			continue // lost, or purged
		}
		for i := range f.Records {
			if r := f.Record(i); r.Flags&frame.Copied != 0 {
				copied += int64(r.Length)
			} else {
				writes++
			}
		}
		if f.Has(frame.Marker) {
			points = append(points, fmt.Sprintf("recovery point at write %d, of %s", f.Last(), time.Unix(0, f.Sealed).UTC().Format(time.TimeOnly)))
		}
		last = f
	}
	if s.seen = s.bus.last; last.No == 0 {
		return
	}
	consistent := "inconsistent"
	if last.Has(frame.Consistent) {
		consistent = "consistent"
	}
	fmt.Fprintf(&s.out, "sent: %d guest writes, %d KiB copied; the end is %s\n", writes, copied>>10, consistent)
	for _, p := range points {
		fmt.Fprintln(&s.out, "sent:", p)
	}
}

func (s *script) end() {
	if s.g == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.g.Close(ctx); err != nil {
		s.t.Error(err)
	}
}
