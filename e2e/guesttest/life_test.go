package guesttest

import (
	"fmt"
	"testing"
)

// The disks of the guest are the exports. The machine dies; nothing that it was
// promised is missing at the newest point, down to the last byte of the source's
// own disks.
func TestInlineRollback(t *testing.T) {
	l := live(t, Variant{Journal: "rollback"}, false)
	l.s.Kill()
	l.arrived()
	l.points(true)
	l.runAndCommit("before-upgrade")
}

// The guest runs on disks of its own, and QEMU tells the product its writes. Then
// machine, QEMU and capture die together.
func TestTapRollForward(t *testing.T) {
	l := live(t, Variant{Tap: true, Journal: "roll-forward"}, true)
	l.s.Kill()
	l.p.KillCapture()
	newest := l.points(false)
	l.commitFiles(newest)
}

func TestInlineRollForward(t *testing.T) {
	if !*all {
		t.Skip("NOT TESTED here: needs -all; its halves are tested by the other variants")
	}
	l := live(t, Variant{Journal: "roll-forward"}, false)
	l.s.Kill()
	l.arrived()
	newest := l.points(true)
	l.commitFiles(newest)
}

func TestTapRollback(t *testing.T) {
	if !*all {
		t.Skip("NOT TESTED here: needs -all; its halves are tested by the other variants")
	}
	l := live(t, Variant{Tap: true, Journal: "rollback"}, false)
	l.s.Kill()
	st := l.arrived()
	l.points(true)
	// QEMU's last writes, which nobody was promised, are behind the newest point.
	l.try(Trial{Point: fmt.Sprintf("seq:%d", st.Journal.Bounds.Head), Acked: l.s.Acks.Last(), Dir: l.TempDir()})
	l.runAndCommit("before-upgrade")
}
