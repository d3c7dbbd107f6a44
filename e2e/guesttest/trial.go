package guesttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/oracle"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
)

// Trial is a test failover to one point, judged by everyone there is.
type Trial struct {
	Point string // p123, or seq:456
	// Acked is a row that must be in the ledger; Newest, if not 0, one that
	// cannot be.
	Acked, Newest int64
	// Keep leaves the disks' bytes in Dir, as system.raw and log.raw.
	Keep bool
	// Last is a point of an inline guest's last moment. QEMU may not have logged
	// all that it had written, so the judge is another: the bytes must be those of
	// the source's disks.
	Last bool
	Dir  string // must exist
}

// Verdict is what was found.
type Verdict struct {
	State  [2]State // not looked at where Source is true
	Source [2]bool  // equal to the source's disk, in the last trial
	Ledger guest.Ledger
	Usable time.Duration // from the command to disks that can be used
	Took   time.Duration
}

// Try opens the point, judges it, and cleans up; the error is what is wrong with
// it.
func (s *Source) Try(ctx context.Context, p *Product, tr Trial) (v Verdict, err error) {
	began := time.Now()
	defer func() { v.Took = time.Since(began) }()
	if _, err := p.CLI(ctx, "failover", s.Job, "--mode", "test", "--point", tr.Point); err != nil {
		return v, err
	}
	v.Usable = time.Since(began)
	defer func() { err = errors.Join(err, s.cleanUp(ctx, p)) }()
	st, err := p.Failover(ctx, s.Job)
	if err != nil {
		return v, err
	}
	if st.Export == nil || len(st.Export.Disks) != len(DiskNames) {
		return v, fmt.Errorf("a test failover that is %s serves no two disks: %+v", st.Phase, st.Export)
	}
	for i, d := range st.Export.Disks {
		if err := Fetch(ctx, d.URI, filepath.Join(tr.Dir, DiskNames[i]+".raw")); err != nil {
			return v, err
		}
	}
	judged := make(chan error, 1) // while the check guest boots
	go func() { judged <- s.judge(ctx, tr, &v) }()
	var booted error
	v.Ledger, booted = s.ledger(ctx, tr, *st.Export)
	return v, errors.Join(<-judged, booted)
}

// ledger has a check guest boot from the point, and judges what it finds.
func (s *Source) ledger(ctx context.Context, tr Trial, x api.Export) (guest.Ledger, error) {
	drives, err := Drives(x)
	if err != nil {
		return guest.Ledger{}, err
	}
	l, err := guest.CheckLedger(ctx, drives)
	if err != nil {
		return l, err
	}
	if err := l.Verify(tr.Acked); err != nil {
		return l, fmt.Errorf("%s: %w", tr.Point, err)
	}
	if tr.Newest > 0 && l.Max > tr.Newest {
		return l, fmt.Errorf("%s has row %d, which did not exist at its time: %d did", tr.Point, l.Max, tr.Newest)
	}
	return l, nil
}

// judge compares the point's bytes with the write logs and the source.
func (s *Source) judge(ctx context.Context, tr Trial, v *Verdict) error {
	for i, name := range DiskNames {
		file := filepath.Join(tr.Dir, name+".raw")
		if err := s.judgeDisk(ctx, i, file, tr.Last, v); err != nil {
			return fmt.Errorf("%s: disk %s: %w", tr.Point, name, err)
		}
		if !tr.Keep {
			os.Remove(file)
		}
	}
	return nil
}

func (s *Source) judgeDisk(ctx context.Context, disk int, file string, last bool, v *Verdict) (err error) {
	if last {
		if v.Source[disk], err = Same(file, s.Files[disk]); err == nil && !v.Source[disk] {
			err = fmt.Errorf("it differs from %s, which nobody has written since", s.Files[disk])
		}
		return err
	}
	l, err := oracle.Open(s.Logs[disk])
	if err != nil {
		return err
	}
	defer l.Close()
	base := s.Images.Root
	if disk == 1 {
		base = s.Images.Data
	}
	v.State[disk], err = Explain(ctx, l, base, file, file+".explained")
	if err == nil && !s.Tap && !v.State[disk].Exact() {
		err = fmt.Errorf("it is not a prefix of the disk's writes, but %s", v.State[disk])
	}
	return err
}

// cleanUp ends the test failover and looks for what it left.
func (s *Source) cleanUp(ctx context.Context, p *Product) error {
	if _, err := p.CLI(ctx, "failover", "cleanup", s.Job); err != nil {
		return err
	}
	st, err := p.Failover(ctx, s.Job)
	if err != nil {
		return err
	}
	xs, err := p.Exports(ctx, s.Job)
	if err != nil {
		return err
	}
	left, err := os.ReadDir(filepath.Join(p.state(), "dr", "journal", "exports", s.Job))
	if err != nil {
		return err
	}
	if st.Phase != recovery.Cleaned || len(xs) > 0 || len(left) > 0 {
		return fmt.Errorf("a cleaned up test failover is %s and leaves exports %+v and files %v", st.Phase, xs, left)
	}
	return nil
}

// Bounds are the rows that the ledger of a point must have, and that it cannot
// have: those acknowledged before it, and those not yet begun well after it.
func (s *Source) Bounds(pt cdp.Point) (acked, newest int64) {
	const slow = 3 * time.Second // from a commit to its acknowledgement on a busy machine
	return s.Acks.Before(pt.Time.Add(-pt.Bound)), s.Acks.Before(pt.Time.Add(pt.Bound+slow)) + guest.WitnessBatch
}
