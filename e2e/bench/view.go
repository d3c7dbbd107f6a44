package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
)

// benchView: any point as a disk, in place.
func benchView(b *Bench) error {
	return errors.Join(viewOpen(b), viewRead(b))
}

// viewOpen: how long it takes until the first bytes of a point can be read,
// with 10 million index entries and a sparse disk of 1 TiB.
func viewOpen(b *Bench) error {
	const size = 1 << 40
	entries := b.size(10_000_000)
	dir := filepath.Join(b.dir, "open")
	s, err := openStorage(dir, size)
	if err != nil {
		return err
	}
	p := newPress()
	rng := rand.New(rand.NewPCG(2, 2))
	data := noise(4096)
	for n := int64(0); n < entries; {
		var frames [][]byte
		for ; n < entries && len(frames) < 64; n++ {
			content := data
			if n%64 != 0 { // zeros are indexed just so, and cost the bench no payload
				content = nil
			}
			if f := p.write(0, rng.Int64N(size/4096)*4096, content, 4096); f != nil {
				frames = append(frames, f)
			}
		}
		if n == entries && p.b.Records() > 0 {
			frames = append(frames, p.seal(0))
		}
		if err := s.take(frames); err != nil {
			return err
		}
	}
	if err := s.close(); err != nil {
		return err
	}
	var opened, journal []float64
	for range b.rounds {
		if err := chill(dir); err != nil {
			return err
		}
		began := time.Now()
		if s, err = openStorage(dir, size); err != nil {
			return err
		}
		journal = append(journal, millis(time.Since(began)))
		head := s.vault.Bounds().Head
		began = time.Now()
		v, err := s.vault.View(head - head/3)
		if err != nil {
			return err
		}
		buf := make([]byte, 1<<20)
		for i := range 16 { // what a guest's firmware and boot loader look at
			if err := v.ReadAt(0, buf[:4096], int64(i)*size/16); err != nil {
				return err
			}
		}
		if err := v.ReadAt(0, buf, 0); err != nil {
			return err
		}
		opened = append(opened, millis(time.Since(began)))
		if err := errors.Join(v.Close(), s.close()); err != nil {
			return err
		}
	}
	b.report("view.open", opened, "ms", atMost(100), fmt.Sprintf("with 17 first reads, all cold; %d entries, 1 TiB", entries))
	b.report("view.open.journal", journal, "ms", info, "opening database and journal before it")
	return os.RemoveAll(dir)
}

// shape is how much of the content a view reads comes from the journal.
type shape struct {
	name    string
	changed float64 // share of the disk's blocks written after the point's base
	raised  bool    // base at head, the view too
	want    bool
}

// viewRead: reading points whose content is in the replica, in the journal, or in
// both.
func viewRead(b *Bench) error {
	size := b.size(1<<30) &^ (1<<20 - 1)
	var errs []error
	for _, s := range []shape{
		{name: "", changed: 0.1, want: true},
		{name: ".newest", changed: 0.1, raised: true},
		{name: ".older", changed: -0.1},
		{name: ".journal", changed: 2},
	} {
		errs = append(errs, viewShape(b, s, size))
	}
	return errors.Join(errs...)
}

func viewShape(b *Bench, sh shape, size int64) error {
	dir := filepath.Join(b.dir, "read"+sh.name)
	defer os.RemoveAll(dir)
	s, err := openStorage(dir, size)
	if err != nil {
		return err
	}
	defer s.close()
	at, err := sh.prepare(b, s, size)
	if err != nil {
		return err
	}
	v, err := s.vault.View(at)
	if err != nil {
		return err
	}
	defer v.Close()
	raw, err := os.Open(s.image())
	if err != nil {
		return err
	}
	defer raw.Close()

	var f viewFigures
	fromRaw := func(p []byte, off int64) error { _, err := raw.ReadAt(p, off); return err }
	fromView := func(p []byte, off int64) error { return v.ReadAt(0, p, off) }
	for range b.rounds {
		if err := f.round(dir, size, fromRaw, fromView); err != nil {
			return err
		}
	}
	want1m, want4k := info, info
	if sh.want {
		want1m, want4k = atLeast(0.7), atLeast(50_000)
	}
	what := map[string]string{"": "10 % from the journal", ".newest": "all from the replica, 10 % have floors", ".older": "10 % from floors", ".journal": "nearly all from the journal"}[sh.name]
	b.report("view.read.1m"+sh.name, ratios(f.view, f.raw), "of raw", want1m, fmt.Sprintf("%s, cold; %.0f of %.0f MB/s", what, median(f.view), median(f.raw)))
	b.report("view.read.4k"+sh.name, f.warm, "/s", want4k, fmt.Sprintf("%s, 4 at once, warm; %.0f/s cold", what, median(f.cold)))
	return nil
}

// prepare writes a disk in order, which then is in the replica, and changes a
// share of it. It gives the point to view.
func (sh shape) prepare(b *Bench, s *storage, size int64) (cdp.Seq, error) {
	p := newPress()
	if err := s.take(inOrder(p, size)); err != nil {
		return 0, err
	}
	seeded := s.vault.Bounds().Head
	if err := errors.Join(s.vault.Merge(b, seeded), s.vault.Retain(b, seeded)); err != nil {
		return 0, err
	}
	changed := max(sh.changed, -sh.changed)
	frames, _ := random4k(p, 3, size, int64(changed*float64(size)))
	if err := s.take(frames); err != nil {
		return 0, err
	}
	at := s.vault.Bounds().Head
	if sh.raised || sh.changed < 0 {
		if err := s.vault.Raise(b, at); err != nil {
			return 0, err
		}
	}
	if sh.changed < 0 {
		return seeded, nil // every changed block is a floor
	}
	return at, nil
}

// viewFigures are the results of rounds: of the raw file and the view in MB/s, of
// cold and warm blocks of 4 KiB per second.
type viewFigures struct{ raw, view, cold, warm []float64 }

func (f *viewFigures) round(dir string, size int64, fromRaw, fromView func([]byte, int64) error) error {
	for _, x := range []struct {
		read func([]byte, int64) error
		into *[]float64
	}{{fromRaw, &f.raw}, {fromView, &f.view}} {
		if err := chill(dir); err != nil {
			return err
		}
		n, err := sweep(size, 2*time.Second, x.read)
		if err != nil {
			return err
		}
		*x.into = append(*x.into, n)
	}
	if err := chill(dir); err != nil {
		return err
	}
	// Cold blocks of the whole disk, then warm ones of a part of it.
	n, err := scatter(size, time.Second, fromView)
	if err != nil {
		return err
	}
	f.cold = append(f.cold, n)
	if _, err := sweep(size/8, time.Minute, fromView); err != nil {
		return err
	}
	if n, err = scatter(size/8, time.Second, fromView); err != nil {
		return err
	}
	f.warm = append(f.warm, n)
	return nil
}

// sweep reads a disk in order, 1 MiB at a time, until its end or for so long; in
// MB/s.
func sweep(size int64, long time.Duration, read func([]byte, int64) error) (float64, error) {
	p := make([]byte, 1<<20)
	began := time.Now()
	off := int64(0)
	for ; off < size && time.Since(began) < long; off += int64(len(p)) {
		if err := read(p, off); err != nil {
			return 0, err
		}
	}
	return mbps(off, time.Since(began)), nil
}

// scatter reads blocks at random, four at once, and gives their number per second.
func scatter(size int64, d time.Duration, read func([]byte, int64) error) (float64, error) {
	var wg sync.WaitGroup
	var n [4]int64
	var errs [4]error
	began := time.Now()
	for i := range 4 {
		wg.Go(func() {
			p := make([]byte, cdp.BlockSize)
			rng := rand.New(rand.NewPCG(uint64(began.UnixNano()), uint64(i)))
			for time.Since(began) < d && errs[i] == nil {
				errs[i] = read(p, rng.Int64N(size/cdp.BlockSize)*cdp.BlockSize)
				n[i]++
			}
		})
	}
	wg.Wait()
	return float64(n[0]+n[1]+n[2]+n[3]) / time.Since(began).Seconds(), errors.Join(errs[:]...)
}
