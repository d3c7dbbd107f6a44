package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// journey is a protected machine that moves between its sites, and what it wrote.
type journey struct {
	*lab
	src, dst string         // its disk at prod, and at dr
	ledger   map[int64]byte // the newest byte of each block that it wrote
}

// write has the machine write a block at the export of a job.
func (j *journey) write(job string, off int64, b byte) {
	j.t.Helper()
	at := map[string]string{"web": "dr", "web-back": "prod"}[job]
	poke(j.t, j.field("write to", "status", job, "--site", at), off, b)
	j.ledger[off] = b
}

// holds fails unless an image has what the machine wrote, and nothing else there.
func (j *journey) holds(path string) {
	j.t.Helper()
	image, err := os.ReadFile(path)
	if err != nil {
		j.t.Fatal(err)
	}
	for _, off := range slices.Sorted(maps.Keys(j.ledger)) {
		if want := bytes.Repeat([]byte{j.ledger[off]}, 4096); !bytes.Equal(image[off:off+4096], want) {
			j.t.Errorf("%s at %d: %q, want %q", filepath.Base(path), off, image[off], want[0])
		}
	}
}

// restart stops everything and starts it again, until a command says what is wanted.
func (j *journey) restart(want string, args ...string) {
	j.t.Helper()
	j.stop()
	j.lab = newLab(j.t, j.dir, "")
	j.until(want, args...)
}

// TestJourney: a machine fails over, is reprotected, goes home and away again, with
// everything stopped in between. What it wrote is there each time, only differences are
// sent, and neither side is overwritten unasked.
func TestJourney(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	j := &journey{lab: newLab(t, dir, ""), ledger: map[int64]byte{}}
	var file string
	file, j.src, j.dst = jobFile(t, dir)
	j.do(0, "apply", "-f", file)
	j.do(0, "job", "run", "web")
	j.write("web", 0, 'A')
	j.write("web", 1<<20, 'B')
	j.refusedBeforeTheCommit()
	j.away()
	j.reprotected()
	j.home(file)
	j.restart("protected", "status", "web")
	j.until("capture      replicating", "status", "web")
	j.do(0, "failover", "web", "--mode", "production", "--planned", "--to", "files")
	j.do(0, "failover", "commit", "web")
	j.holds(j.dst)
	if out, _ := j.do(0, "reprotect", "web", "--yes"); !bytes.Contains([]byte(out), []byte("of 4.0 MiB differed")) {
		t.Error(out)
	}
	j.write("web-back", 3<<20, 'H')
	j.until("protected", "status", "web-back", "--site", "prod")
	j.homeByPlan()
}

// homeByPlan: a plan of prod brings the machine home, a plan of dr protects it again.
func (j *journey) homeByPlan() {
	const plan = `apiVersion: tidemark.dev/v1
kind: SiteRecoveryJob
metadata: {name: SITE-plan}
spec:
  site: SITE
  actions:
  - {name: web, ACTION: {job: web, overwrite: true}}
`
	for site, action := range map[string]string{"prod": "failback", "dr": "reprotect"} {
		file := write(j.t, filepath.Join(j.dir, site+"-plan.yaml"), strings.NewReplacer("SITE", site, "ACTION", action).Replace(plan))
		j.do(0, "plan", "apply", "-f", file, "--site", site)
	}
	out, _ := j.do(0, "plan", "run", "prod-plan", "--site", "prod", "--follow")
	wants(j.t, out, "succeeded")
	j.holds(j.src)
	out, _ = j.do(0, "plan", "run", "dr-plan", "--site", "dr", "--follow")
	wants(j.t, out, "succeeded", "web replicates prod -> dr, and is protected")
	j.write("web", 0, 'I')
}

// refusedBeforeTheCommit: a machine that was not failed over for good is not reversed.
func (j *journey) refusedBeforeTheCommit() {
	_, errs := j.do(exitConflict, "reprotect", "web")
	wants(j.t, errs, "it was not failed over: the machine runs at prod")
	_, errs = j.do(exitConflict, "failback", "web")
	wants(j.t, errs, "it was not failed over")
}

// away: the machine goes to dr. Something at prod goes on to write to the old disk.
func (j *journey) away() {
	j.do(0, "failover", "web", "--mode", "production", "--planned", "--to", "files")
	_, errs := j.do(exitConflict, "reprotect", "web", "--yes")
	wants(j.t, errs, "tidemark failover commit web")
	j.do(0, "failover", "commit", "web")
	j.holds(j.dst)
	f, err := os.OpenFile(j.dst, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte{'C'}, 4096), 2<<20) // the machine runs on the file
		j.ledger[2<<20] = 'C'
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		j.t.Fatal(err)
	}
	poke(j.t, j.field("write to", "status", "web"), 1<<20, 'X')
	out, _ := j.do(0, "status", "web")
	wants(j.t, out, "not protected", "tidemark reprotect web")
}

// reprotected: asked and confirmed, the old disk becomes the replica.
func (j *journey) reprotected() {
	before, err := os.ReadFile(j.src)
	if err != nil {
		j.t.Fatal(err)
	}
	out, _ := j.do(0, "reprotect", "web", "--dry-run")
	wants(j.t, out, "web-back will replicate dr -> prod (reversed)", "up to 4.0 MiB at prod are overwritten", "1 writes that were made there")
	_, errs := j.do(exitConflict, "reprotect", "web")
	wants(j.t, errs, "are overwritten", "--yes")
	c := dial(j.t, j.field("write to", "status", "web"))
	_, errs = j.do(exitConflict, "reprotect", "web", "--yes")
	wants(j.t, errs, "its old disks at prod are in use")
	c.Close()
	if after, err := os.ReadFile(j.src); err != nil || !bytes.Equal(before, after) {
		j.t.Fatal("the old disk was changed before that was confirmed", err)
	}
	out, _ = j.do(0, "reprotect", "web", "--yes")
	wants(j.t, out, "web-back replicates dr -> prod (reversed)", "the machine's disk at dr  nbd+unix:///system", "of 4.0 MiB differed and were sent")
	j.restart("capture      replicating", "status", "web-back", "--site", "prod")
	out, _ = j.do(0, "reprotect", "web", "--yes")
	wants(j.t, out, "web-back replicates dr -> prod (reversed)")
	j.write("web-back", 0, 'D')
	out = j.until("the job web-back protects the machine now: dr -> prod (reversed)", "status", "web")
	lacks(j.t, out, "write to")
	out = j.until("web-back  protected", "status", "--site", "prod")
	wants(j.t, out, "dr -> prod (reversed): all jobs")
}

// home: the machine goes home, however often that is asked for.
func (j *journey) home(file string) {
	c := dial(j.t, j.field("write to", "status", "web-back", "--site", "prod"))
	_, errs := j.do(exitConflict, "failback", "web", "--yes")
	wants(j.t, errs, "connected to the source's disks")
	c.Close()
	j.do(0, "failover", "web-back", "--site", "prod", "--mode", "production", "--planned", "--to", "files", "--run", "failback-1")
	j.restart("ready: the replica holds", "failover", "status", "web-back", "--site", "prod")
	j.until("journal", "status", "web-back", "--site", "prod")
	_, errs = j.do(exitConflict, "failback", "web")
	wants(j.t, errs, "--yes")
	j.holds(j.src)
	out, _ := j.do(0, "failback", "web", "--yes")
	wants(j.t, out, "web is home: it replicates prod -> dr, and is protected")
	out, _ = j.do(0, "failback", "web", "--yes")
	wants(j.t, out, "web is home")
	out, _ = j.do(0, "apply", "-f", file)
	wants(j.t, out, "unchanged")
	j.write("web", 1<<20, 'E')
	j.do(0, "point", "create", "web", "--tag", "home")
	j.do(0, "failover", "web", "--mode", "test", "--point", "home")
	view := j.field("disk", "failover", "status", "web")
	for off, b := range j.ledger {
		expect(j.t, view, off, b)
	}
	j.do(0, "failover", "cleanup", "web")
}
