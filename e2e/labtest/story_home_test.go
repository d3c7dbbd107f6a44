package labtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/lab/stage"
)

// said is what an action says that it sent.
var said = regexp.MustCompile(`([0-9.]+ [KMG]?i?B) of ([0-9.]+ [KMG]?i?B) differed and were sent`)

// comeHome brings site A back, and has a plan there bring the three home.
func (w *tale) comeHome() {
	w.Helper()
	old := map[string][]string{} // copies of the old disks
	for _, vm := range w.vms {
		for i, file := range w.flats(vm) {
			to := filepath.Join(w.State(), fmt.Sprintf("%s-%d.old", vm, i))
			w.must(guest.CopySparse(w.ctx, file, to))
			old[vm] = append(old[vm], to)
		}
	}
	soon, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
	defer cancel()
	w.must(w.ReturnProd(soon))
	w.apply(stage.Prod, "shop-home", fmt.Sprintf(`  objective: 1h
  actions:
  - {name: db, failback: {job: %s, overwrite: true, shutdown: forced}, timeout: 1h}
  - {name: app, failback: {job: %s, overwrite: true, shutdown: forced}, timeout: 1h}
  - {name: front, failback: {job: %s, overwrite: true, shutdown: forced}, timeout: 1h}
`, w.GroupOf(stage.VM), w.GroupOf(app), w.GroupOf(front)))
	_, err := w.Tidemark(w.ctx, "plan", "run", "shop-home", "--follow", "--site", stage.Prod)
	w.must(err)
	r, err := w.run(stage.Prod, "shop-home")
	w.must(err)
	w.inOrder(r)
	there, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
	defer cancel()
	for i, vm := range w.vms {
		last := w.consoles[vm].LastAck()
		c := w.judged(vm, w.Serial(stage.Prod, vm), fmt.Sprintf("at home (%d acknowledged at dr)", last), func(l guest.Ledger) (int64, error) { return l.Max, l.Verify(last) })
		w.must(c.WaitAcks(there, 5))
		w.onlyChanges(vm, r.Actions[i].Text, old[vm])
	}
	if at := w.inventory(stage.DR); !onlyTransporter(at) {
		w.Errorf("VMs run at both sites:\n%s", at)
	}
}

// onlyTransporter reports whether nothing but Tidemark's own machine is on.
func onlyTransporter(inventory string) bool {
	for line := range strings.Lines(inventory) {
		if strings.Contains(line, "poweredOn") && !strings.HasPrefix(line, "tm-") {
			return false
		}
	}
	return true
}

// flats are the disks of a VM of prod.
func (w *tale) flats(vm string) []string {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.Dir(stage.Prod), "datastores", "*", vm, "*-flat.vmdk"))
	w.must(err)
	if len(files) != 2 {
		w.Fatalf("the disks of %s are %v", vm, files)
	}
	return files
}

// onlyChanges compares what an action said that it sent with what changed on the disks at
// home, which are as the last write at dr left them, and the machine's first writes at home.
func (w *tale) onlyChanges(vm, text string, old []string) {
	w.Helper()
	m := said.FindStringSubmatch(text)
	if m == nil {
		w.Errorf("%s: it does not say what it sent: %q", vm, text)
		return
	}
	sent, err := humanize.ParseBytes(m[1])
	w.must(err)
	whole, err := humanize.ParseBytes(m[2])
	w.must(err)
	var changed uint64
	for i, file := range w.flats(vm) {
		n, err := differing(old[i], file)
		w.must(err)
		changed += n
	}
	w.Logf("  %s: %s sent by the comparison, and %s changed on its disks, of %s", vm, humanize.IBytes(sent), humanize.IBytes(changed), humanize.IBytes(whole))
	if sent > 4*changed+(4<<20) || sent > whole/4 {
		w.Errorf("%s: %s sent, although only %s changed", vm, humanize.IBytes(sent), humanize.IBytes(changed))
	}
}

// differing is how many bytes of two files differ, in blocks of 4 KiB.
func differing(a, b string) (n uint64, err error) {
	x, err := os.Open(a)
	if err != nil {
		return 0, err
	}
	defer x.Close()
	y, err := os.Open(b)
	if err != nil {
		return 0, err
	}
	defer y.Close()
	p, q := make([]byte, 4<<10), make([]byte, 4<<10)
	for {
		if _, err = io.ReadFull(x, p); err != nil {
			break
		}
		if _, err = io.ReadFull(y, q); err != nil {
			break
		}
		if !bytes.Equal(p, q) {
			n += uint64(len(p))
		}
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}
