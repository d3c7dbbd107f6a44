package main

import (
	"os"
	"testing"
	"time"
)

// TestNothingToRecover: a job whose source cannot be captured says why, and a
// failover of it is refused at once; nothing of that is left pending. It is tried
// again by itself.
func TestNothingToRecover(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	file, src, _ := jobFile(t, dir)
	l.do(0, "apply", "-f", file) // it takes no job whose source is not there
	l.stop()
	if err := os.Rename(src, src+".away"); err != nil {
		t.Fatal(err)
	}
	l = newLab(t, dir, "")
	_, errs := l.do(exitConflict, "job", "run", "web")
	wants(t, errs, "is not protected", src)
	l.until("no such file", "status")
	out, _ := l.do(0, "job", "status", "web")
	wants(t, out, "the job is not captured at site prod", src)
	out, _ = l.do(0, "status", "-o", "json")
	wants(t, out, "the job is not captured at site prod", src)
	for _, args := range [][]string{{"--mode", "test"}, {"--mode", "production"}, {"--mode", "test"}, {"--mode", "test", "--at", "1s"}, {"--mode", "production", "--planned"}} {
		began := time.Now()
		_, errs := l.do(exitNotFound, append([]string{"failover", "web"}, args...)...)
		wants(t, errs, "there is no recovery point yet", "hint:")
		t.Logf("%v in %v", args, time.Since(began))
	}

	// Nobody has to start anything once the reason is gone.
	if err := os.Rename(src+".away", src); err != nil {
		t.Fatal(err)
	}
	l.until("protected", "status")
}
