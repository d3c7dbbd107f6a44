package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/guesttest"
)

// attack overwrites the machine's disks through the very exports it writes to:
// Tidemark takes that for what it is, writes.
func (m *machine) attack(ctx context.Context) error {
	m.step(4, "Ransomware")
	if err := m.s.VM.WaitAcks(ctx, len(m.s.VM.Acks())+20); err != nil {
		return err
	}
	ps, err := m.p.Points(ctx, m.job())
	if err != nil {
		return err
	}
	m.good = ps[len(ps)-1]
	m.acked, _ = m.s.Bounds(m.good)
	m.s.Kill()
	m.say("It takes the machine over after row %d and overwrites 64 MiB of each disk.", m.s.Acks.Last())
	st, err := m.p.Standing(ctx, m.job())
	if err != nil {
		return err
	}
	for _, uri := range st.Capture.Exports {
		if out, err := exec.CommandContext(ctx, "qemu-io", "-f", "raw", "-c", "write -P 0x66 0 64M", uri).CombinedOutput(); err != nil {
			return fmt.Errorf("overwrite %s: %w: %s", uri, err, out)
		}
	}
	_, err = m.p.Until(ctx, m.job(), "the damage is replicated", func(st guesttest.Standing) bool {
		return st.Arrived() && st.Journal.Newest.Seq == st.Journal.Bounds.Head
	})
	m.say("The damage was replicated faithfully, like every write.")
	return err
}

// lose destroys the source.
func (m *machine) lose(ctx context.Context) error {
	m.step(5, "And the site is lost: the disks are deleted, capture is killed")
	m.p.KillCapture()
	if err := os.RemoveAll(filepath.Dir(m.s.Files[0])); err != nil {
		return err
	}
	if _, err := m.p.Run(ctx, "status"); err != nil {
		return err
	}
	_, err := m.p.Run(ctx, "point", "list", m.job(), "--last", "6")
	return err
}

// look tries points without touching anything.
func (m *machine) look(ctx context.Context) error {
	m.step(6, "Which point is good? A test failover changes nothing")
	l, err := m.test(ctx, "latest")
	if err != nil {
		return err
	}
	if l.Verify(0) == nil {
		return errors.New("the newest point is not damaged: the demo's attack did nothing")
	}
	m.say("The newest point is no good: a machine that boots from it finds no database. Back, before the attack:")
	if l, err = m.test(ctx, m.good.ID()); err != nil {
		return err
	}
	if err := l.Verify(m.acked); err != nil {
		return err
	}
	m.say("%s is good: %d rows without a gap, checksums and indexes right, both disks of one moment.", m.good.ID(), l.Max)
	m.say("Row %d was the last one acknowledged before it.", m.acked)
	return nil
}

// test boots a machine that looks at the ledger from a point.
func (m *machine) test(ctx context.Context, point string) (l guest.Ledger, err error) {
	if _, err := m.p.Run(ctx, "failover", m.job(), "--mode", "test", "--point", point); err != nil {
		return l, err
	}
	st, err := m.p.Failover(ctx, m.job())
	if err != nil {
		return l, err
	}
	drives, err := guesttest.Drives(*st.Export)
	if err != nil {
		return l, err
	}
	began := time.Now()
	tctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if l, err = guest.CheckLedger(tctx, drives); err != nil {
		return l, err
	}
	m.say("a machine booted from these disks and looked: %.0f s", time.Since(began).Seconds())
	_, err = m.p.Run(ctx, "failover", "cleanup", m.job())
	return l, err
}

// recover fails over for good.
func (m *machine) recover(ctx context.Context) error {
	m.step(7, "Production failover: the machine runs at dr")
	if _, err := m.p.Run(ctx, "failover", m.job(), "--mode", "production", "--point", m.good.ID()); err != nil {
		return err
	}
	st, err := m.p.Failover(ctx, m.job())
	if err != nil {
		return err
	}
	drives, err := guesttest.Drives(*st.Export)
	if err != nil {
		return err
	}
	dir := filepath.Join(m.dir, "vm2")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	began := time.Now()
	vm, err := guest.Boot(ctx, guest.Config{Drives: drives, Dir: dir})
	if err != nil {
		return err
	}
	defer vm.Kill9()
	if err := vm.WaitAcks(ctx, 30); err != nil {
		return err
	}
	m.say("%.0f s later the shop goes on: its ledger took up at row %d, and row %d is acknowledged.",
		time.Since(began).Seconds(), vm.Acks()[0], vm.LastAck())
	if vm.Acks()[0] <= m.acked {
		return fmt.Errorf("rows from %d to %d were acknowledged before the point and are not in it", vm.Acks()[0], m.acked)
	}
	vm.Kill9()
	m.say("It is shut down for a moment; the disks become plain files with the point and what was written since.")
	if _, err := m.p.Run(ctx, "failover", "commit", m.job()); err != nil {
		return err
	}
	l, err := guest.CheckLedger(ctx, []guest.Drive{{Raw: m.s.Target[0]}, {Raw: m.s.Target[1]}})
	if err != nil {
		return err
	}
	if err := l.Verify(vm.LastAck()); err != nil {
		return err
	}
	m.say("A machine that boots from the files finds rows 1 to %d, complete.", l.Max)
	return nil
}
