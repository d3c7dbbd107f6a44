package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/spoolshare"
)

// TestManyJobs: a site protects two dozen jobs, which share a spool that has room for no
// more. The next one is refused with what to do, and is taken once another is gone.
func TestManyJobs(t *testing.T) {
	const n = 24
	dir := short(t)
	room := spec.Size(n * spoolshare.Least)
	l := newLab(t, dir, ", spool: "+room.String())
	var docs []string
	for i := range n {
		docs = append(docs, smallJob(t, dir, i))
	}
	l.do(0, "apply", "-f", write(t, filepath.Join(dir, "jobs.yaml"), strings.Join(docs, "---\n")))
	more := write(t, filepath.Join(dir, "more.yaml"), smallJob(t, dir, n))
	if _, errs := l.do(exitConflict, "apply", "-f", more); !strings.Contains(errs, "room for 24") || !strings.Contains(errs, "raise spool") {
		t.Error("the job that is one too many:", errs)
	}
	for i := range n {
		l.do(0, "job", "run", fmt.Sprintf("job-%d", i), "--no-wait")
	}
	for i := range n {
		l.until("protected", "status", fmt.Sprintf("job-%d", i))
	}
	if out, _ := l.do(0, "status", "job-0"); !strings.Contains(out, "up to 16 MiB wait at the source") {
		t.Error("its share of the spool is not in its status:", out)
	}
	l.do(0, "job", "stop", "job-7")
	l.do(0, "delete", "job", "job-7", "--yes")
	l.until("created", "apply", "-f", more)
}

// smallJob is the document of a job with a disk of 1 MiB.
func smallJob(t *testing.T, dir string, i int) string {
	t.Helper()
	name := fmt.Sprintf("job-%d", i)
	src, dst := filepath.Join(dir, name+".img"), filepath.Join(dir, name+"-replica.img")
	if err := os.WriteFile(src, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("name: web", "name: "+name, "rpo: 1s", "rpo: 10s").Replace(goodJob(src, dst))
}
