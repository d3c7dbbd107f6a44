package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// benchPermanent: making a point permanent moves base over changed data; so
// many bytes of it against as many bytes copied by qemu-img.
func benchPermanent(b *Bench) error {
	size := b.size(1<<30) &^ (1<<20 - 1)
	changed := size / 2
	copied := filepath.Join(b.dir, "data")
	if err := fill(copied, changed); err != nil {
		return err
	}
	var convert []float64
	got := map[string][]float64{}
	for round := range b.rounds {
		if err := chill(b.dir); err != nil {
			return err
		}
		n, err := convertImage(copied, filepath.Join(b.dir, "copy"), changed)
		if err != nil {
			return err
		}
		convert = append(convert, n)
		for _, way := range []struct {
			name string
			page int64 // bytes per write
		}{{"4k", 4 << 10}, {"64k", 64 << 10}} {
			dir := filepath.Join(b.dir, fmt.Sprint(round))
			if err := moves(b, dir, size, changed, way.page, func(what string, mb float64) {
				got[what+"."+way.name] = append(got[what+"."+way.name], mb)
			}); err != nil {
				return err
			}
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	for _, what := range []string{"raise", "lower", "merge"} {
		for _, page := range []string{"64k", "4k"} {
			k := what + "." + page
			b.report("permanent."+k, ratios(got[k], convert), "of qemu", atLeast(0.7),
				fmt.Sprintf("%d MiB changed at random; %.0f of %.0f MB/s", changed>>20, median(got[k]), median(convert)))
		}
	}
	return nil
}

// convertImage copies an image durably with qemu-img.
func convertImage(from, to string, n int64) (float64, error) {
	defer os.Remove(to)
	began := time.Now()
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "raw", "-t", "writeback", from, to).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("qemu-img: %w: %s", err, out)
	}
	f, err := os.Open(to)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return mbps(n, time.Since(began)), nil
}

// moves seeds a disk, changes a part of it, and moves base up with floors, down
// again, and up without.
func moves(b *Bench, dir string, size, changed, page int64, tell func(string, float64)) error {
	s, err := openStorage(dir, size)
	if err != nil {
		return err
	}
	defer s.close()
	p := newPress()
	if err := s.take(inOrder(p, size)); err != nil {
		return err
	}
	seeded := s.vault.Bounds().Head
	if err := s.vault.Merge(b, seeded); err != nil {
		return err
	}
	if err := s.vault.Retain(b, seeded); err != nil {
		return err
	}
	if err := s.take(atRandom(p, size, changed, page)); err != nil {
		return err
	}
	head := s.vault.Bounds().Head
	for _, m := range []struct {
		what string
		move func() error
	}{
		{"raise", func() error { return s.vault.Raise(b, head) }},
		{"lower", func() error { return s.vault.Lower(b, seeded) }},
		{"merge", func() error { return s.vault.Merge(b, head) }},
	} {
		if err := chill(dir); err != nil {
			return err
		}
		began := time.Now()
		if err := m.move(); err != nil {
			return err
		}
		tell(m.what, mbps(changed, time.Since(began)))
	}
	return nil
}
