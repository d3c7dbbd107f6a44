package guesttest

import (
	"os"
	"slices"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/failoverrun"
)

// runAndCommit fails over to a point that is not the newest. A machine runs from
// it at once and writes, is killed, and its disks are made final: the files have
// the point and all that the machine was promised since.
func (l *life) runAndCommit(tag string) {
	l.Helper()
	ps, err := l.p.Points(l.ctx, l.s.Job)
	l.must(err)
	i := slices.IndexFunc(ps, func(p cdp.Point) bool { return slices.Contains(p.Tags, tag) })
	began := time.Now()
	st := l.produce("nbd", ps[i].ID())
	l.Logf("production: disks usable after %.2fs", time.Since(began).Seconds())
	drives, err := Drives(*st.Export)
	l.must(err)
	vm, err := guest.Boot(l.ctx, guest.Config{Images: l.s.Images, Drives: drives, Dir: l.TempDir()})
	l.must(err)
	defer vm.Kill9()
	l.must(vm.WaitAcks(l.ctx, 20))
	vm.Kill9()
	acked, _ := l.s.Bounds(ps[i])
	if first := vm.Acks()[0]; first <= acked {
		l.Fatalf("the machine went on at row %d, but %d was acknowledged before %s", first, acked, ps[i].ID())
	}
	l.commit()
	l.boots(vm.LastAck())
}

// commitFiles fails over to the newest point as plain files, and makes it final:
// they have the very bytes that the point had, and boot.
func (l *life) commitFiles(newest [2]string) {
	l.Helper()
	ps, err := l.p.Points(l.ctx, l.s.Job)
	l.must(err)
	pt := ps[len(ps)-1]
	began := time.Now()
	l.produce("files", pt.ID())
	l.Logf("production: files ready after %.2fs", time.Since(began).Seconds())
	l.commit()
	for i, file := range l.s.Target {
		same, err := Same(file, newest[i])
		l.must(err)
		if !same {
			l.Errorf("%s is not what the point was", file)
		}
	}
	acked, _ := l.s.Bounds(pt)
	l.boots(acked)
}

func (l *life) produce(to, point string) failoverrun.Run {
	l.Helper()
	_, err := l.p.CLI(l.ctx, "failover", l.s.Job, "--mode", "production", "--to", to, "--point", point)
	l.must(err)
	st, err := l.p.Failover(l.ctx, l.s.Job)
	l.must(err)
	return st
}

func (l *life) commit() {
	l.Helper()
	began := time.Now()
	_, err := l.p.CLI(l.ctx, "failover", "commit", l.s.Job)
	l.must(err)
	l.Logf("committed after %.2fs", time.Since(began).Seconds())
	xs, err := l.p.Exports(l.ctx, l.s.Job)
	l.must(err)
	if len(xs) > 0 {
		l.Errorf("a committed failover still serves %+v", xs)
	}
}

// boots has a guest boot from the replica's files, with the product gone.
func (l *life) boots(acked int64) {
	l.Helper()
	l.must(l.p.Stop())
	var drives []guest.Drive
	for i, file := range l.s.Target {
		st, err := os.Stat(file)
		l.must(err)
		if want := []int64{guest.RootBytes, guest.DataBytes}[i]; st.Size() != want {
			l.Errorf("%s has %d bytes, want %d", file, st.Size(), want)
		}
		drives = append(drives, guest.Drive{Raw: file})
	}
	ledger, err := guest.CheckLedger(l.ctx, drives)
	l.must(err)
	l.must(ledger.Verify(acked))
	l.Logf("the files boot: %d rows, %d were acknowledged", ledger.Max, acked)
}
