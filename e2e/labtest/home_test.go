package labtest

import (
	"context"
	"regexp"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/lab/stage"
)

// sent is what a reprotection prints of the disks that it compared.
var sent = regexp.MustCompile(`[0-9.]+ [KMG]iB of [0-9.]+ [KMG]iB differed and were sent`)

// home commits the failover of the VM that console is of, and brings the VM home: to the
// VM at prod that it came from, with its own disks. Nothing that it wrote at dr is lost, and
// of the disks only what differs is sent. Then it is protected to dr again.
func (w *world) home(console *guest.Console) {
	w.Helper()
	soon, cancel := context.WithTimeout(w.ctx, 10*time.Minute)
	defer cancel()
	w.must(console.WaitAcks(soon, 20))
	_, err := w.Tidemark(soon, "failover", "commit", w.Group())
	w.must(err)
	began := time.Now()
	out, err := w.Tidemark(soon, "reprotect", w.Job(), "--yes")
	w.must(err)
	w.Logf("protected back to prod after %.1fs:\n%s", time.Since(began).Seconds(), out)
	if !sent.MatchString(out) {
		w.Error("it does not say how much differed")
	}
	w.must(console.WaitAcks(soon, len(console.Acks())+20))
	began = time.Now()
	out, err = w.Tidemark(soon, "failback", w.Job(), "--yes", "--shutdown", "forced")
	w.must(err)
	w.must(console.Close())
	w.Logf("home after %.1fs:\n%s", time.Since(began).Seconds(), out)
	back := guest.ReadConsole(w.ctx, w.Serial(stage.Prod, stage.VM))
	defer back.Close()
	l, err := back.Ledger(soon)
	w.must(err)
	w.Logf("the VM at home has %d rows; %d were acknowledged at dr", l.Max, console.LastAck())
	w.must(l.Verify(console.LastAck()))
	w.must(back.WaitAcks(soon, 5))
}
