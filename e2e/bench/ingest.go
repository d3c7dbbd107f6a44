package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// benchIngest: frames of 4 KiB random writes made durable, payload and index,
// without a bus, against an append of as many bytes to a file.
func benchIngest(b *Bench) error {
	const size = 16 << 30
	frames, writes := random4k(newPress(), 1, size, b.size(1<<30))
	payload := writes * 4096
	var total int64
	for _, f := range frames {
		total += int64(len(f))
	}
	var ours, raw, ampl []float64
	for round := range b.rounds {
		d, err := rawAppend(filepath.Join(b.dir, "raw"), total)
		if err != nil {
			return err
		}
		raw = append(raw, mbps(payload, d))
		dir := filepath.Join(b.dir, fmt.Sprint(round))
		s, err := openStorage(dir, size)
		if err != nil {
			return err
		}
		before, err := written()
		if err != nil {
			return err
		}
		began := time.Now()
		if err := s.take(frames); err != nil {
			return err
		}
		ours = append(ours, mbps(payload, time.Since(began)))
		if err := s.close(); err != nil {
			return err
		}
		after, err := written()
		if err != nil {
			return err
		}
		ampl = append(ampl, float64(after-before)/float64(payload))
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	b.report("journal.ingest", ratios(ours, raw), "of raw", atLeast(0.5), fmt.Sprintf("%.0f of %.0f MB/s", median(ours), median(raw)))
	b.report("journal.ingest.written", ampl, "x", atMost(1.3), "bytes written over payload")
	return nil
}
