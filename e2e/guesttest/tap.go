package guesttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// monitor is the socket over which a disk's mirror is steered.
func monitor(p *Product, disk int) string { return filepath.Join(p.Dir, fmt.Sprintf("mon%d", disk)) }

// Attach has QEMU tell the product every write of a tapped guest, and returns
// when the product has all of both disks. An inline guest needs no such thing.
func (s *Source) Attach(ctx context.Context, p *Product) error {
	for i, name := range DiskNames {
		if !s.Tap {
			return nil
		}
		c, err := p.start("tap-"+name, "tap", "attach", s.Job, "--disk", name, "--qmp", monitor(p, i), "--device", fmt.Sprintf("disk%d", i))
		if err != nil {
			return err
		}
		s.taps = append(s.taps, c)
	}
	for _, c := range s.taps {
		for {
			said, err := os.ReadFile(c.Log)
			if strings.Contains(string(said), "is complete") {
				break
			}
			if err = errors.Join(err, c.Running()); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("attach tap: %w; it said %s", ctx.Err(), said)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}
