package vault_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// benchGroup is a real journal of one disk with n random 4 KiB writes in it.
func benchGroup(b *testing.B, size int64, n int) *vault.Group {
	dir := b.TempDir()
	disks := []cdp.Disk{{Name: "d", Size: size}}
	db, err := pebblestore.Open(filepath.Join(dir, "db"), pebblestore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := db.Group("g", disks)
	if err != nil {
		b.Fatal(err)
	}
	r, err := replica.Open(disks, []string{filepath.Join(dir, "d.img")}, true)
	if err != nil {
		b.Fatal(err)
	}
	g, err := vault.Open(context.Background(), disks, s, r, vault.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, err := range []error{g.Close(), db.Close(), r.Close()} {
			if err != nil {
				b.Error(err)
			}
		}
	})
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 4096)
	var last frame.Header
	for left := n; left > 0; {
		var fs []frame.Frame
		for range 32 {
			fb := frame.NewBuilder(make([]byte, frame.SlotSize))
			for left > 0 && !fb.Full() {
				for i := range 8 {
					data[i*512] = byte(rng.Uint32())
				}
				fb.Append(frame.Record{Offset: rng.Int64N(size/4096) * 4096, Length: 4096, Kind: frame.Write}, data)
				left--
			}
			f := fb.Seal(frame.Header{Flags: frame.Consistent | frame.ExtentStart, Epoch: 1, No: last.No + 1, First: last.Last() + 1, Prev: last.Hash, Sealed: time.Now().UnixNano()})
			if last.No == 0 {
				f = fb.Seal(frame.Header{Flags: frame.Consistent | frame.ExtentStart, Epoch: 1, No: 1, First: 1, Sealed: 1})
			}
			last = f.Header
			if _, v, why, err := g.Offer(f.Bytes()); err != nil || why != "" {
				b.Fatal(v, why, err)
			}
			fs = append(fs, f)
		}
		batch, err := g.Prepare(fs)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := batch.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return g
}

func BenchmarkViewRead4K(b *testing.B) {
	const size = 4 << 30
	g := benchGroup(b, size, 200_000)
	v, err := g.View(g.Bounds().Head)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	b.SetBytes(4096)
	b.ReportAllocs()
	b.ResetTimer()
	b.SetParallelism(2)
	b.RunParallel(func(pb *testing.PB) {
		rng := rand.New(rand.NewPCG(rand.Uint64(), 2))
		p := make([]byte, 4096)
		for pb.Next() {
			if err := v.ReadAt(0, p, rng.Int64N(size/4096)*4096); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkViewRead1M(b *testing.B) {
	const size = 1 << 30
	g := benchGroup(b, size, 100_000)
	v, err := g.View(g.Bounds().Head)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	p := make([]byte, 1<<20)
	for i := 0; b.Loop(); i++ {
		if err := v.ReadAt(0, p, int64(i)%1024<<20); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRaise(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		g := benchGroup(b, 1<<30, 50_000)
		b.StartTimer()
		if err := g.Raise(context.Background(), g.Bounds().Head); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(50_000 * 4096)
	}
}
