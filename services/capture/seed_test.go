package capture

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
)

// swift is a stream that takes and stores everything at once.
type swift struct {
	last    cdp.FrameNo
	results chan Result
	durable chan Durable
	frames  atomic.Int64
	bytes   atomic.Int64
}

var _ Stream = (*swift)(nil)

func (s *swift) Tail(context.Context) (cdp.FrameNo, *frame.Header, error) { return s.last, nil, nil }
func (s *swift) Results() <-chan Result                                   { return s.results }
func (s *swift) Durable() <-chan Durable                                  { return s.durable }
func (s *swift) Reset()                                                   {}
func (s *swift) Recreate(context.Context, cdp.FrameNo) error              { return nil }
func (s *swift) Close() error                                             { return nil }

func (s *swift) Publish(f frame.Frame) error {
	s.last = f.No
	s.frames.Add(1)
	s.bytes.Add(int64(f.PayloadLen))
	s.results <- Result{No: f.No}
	return nil
}

// still is a machine that never writes: its disk is its snapshot.
type still struct{ path string }

func (s still) Freeze(context.Context, Machine, string) (Frozen, error) {
	return Frozen{Disks: []FrozenDisk{{Path: s.path}}}, nil
}
func (s still) Changed(context.Context, Machine, string, cdp.DiskID, string, func(off, n int64)) error {
	return cdp.Errorf(cdp.Conflict, "ask for changes", s.path, "they are not tracked")
}
func (s still) Thaw(context.Context, Machine, string) error { return nil }

// BenchmarkSeed reads a disk of 512 MiB, half of it random, into frames.
func BenchmarkSeed(b *testing.B) {
	for _, mode := range []cdp.CaptureMode{cdp.Inline, cdp.CBT} {
		b.Run(string(mode), func(b *testing.B) { benchSeed(b, mode) })
	}
}

func benchSeed(b *testing.B, mode cdp.CaptureMode) {
	const size = 512 << 20
	dir := b.TempDir()
	path := filepath.Join(dir, "disk")
	data := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{})
	for at := 0; at < size; at += 2 << 20 {
		rng.Read(data[at : at+1<<20])
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	shm := "/dev/shm/tidemark-bench-seed"
	defer os.RemoveAll(shm)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		os.RemoveAll(shm)
		w := newBus(1)
		s := &swift{results: make(chan Result, 1024), durable: make(chan Durable, 1)}
		job := Job{Group: "shop", Mode: mode, Disks: []JobDisk{{Disk: cdp.Disk{Name: "disk0", Size: size}, Path: path}}}
		deps := GroupDeps{Stream: func(cdp.GroupID) (Stream, error) { return s, nil }, Epochs: epochs{w}, Journal: journal{w}, Disk: openFile}
		if mode == cdp.CBT {
			job.Disks[0].Path, job.Every = "", time.Hour
			deps.Snapshots = still{path}
		}
		g, err := OpenGroup(job, Config{StateDir: b.TempDir(), WindowDir: shm}, deps)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		g.Start()
		for g.Status().State != event.Replicating {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		b.ReportMetric(float64(s.bytes.Load())/float64(max(1, s.frames.Load()))/1024, "KiB/frame")
		g.cancel()
		<-g.done
		g.release(false)
		b.StartTimer()
	}
}
