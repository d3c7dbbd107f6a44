package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestWhatIsInUseIsNotTakenAway: a commit or a deletion under somebody's feet is
// refused, with who is there; forced, it loses no write that was answered; and
// points that a commit has made unreadable are no longer offered.
func TestWhatIsInUseIsNotTakenAway(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	file, _, dst := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	out, _ := l.do(0, "job", "run", "web", "-o", "json")
	wants(t, out, `"job": "web"`, `"desired": "running"`, `"protected": true`)
	l.until("protected", "status")
	l.do(0, "point", "create", "web", "--tag", "one")
	out, _ = l.do(0, "export", "web", "--point", "one", "--detach")
	id := strings.Fields(out)[1]
	uri := strings.Fields(out[strings.Index(out, "nbd"):])[0]
	_, errs := l.do(exitConflict, "point", "delete", "web", "one")
	wants(t, errs, id, "--force")

	out, _ = l.do(0, "job", "stop", "web", "-o", "json")
	wants(t, out, `"desired": "stopped"`)
	_, errs = l.do(exitConflict, "delete", "job", "web", "--yes")
	wants(t, errs, id, "--force")

	source := dial(t, l.field("write to", "status", "web"))
	_, errs = l.do(exitConflict, "failover", "web", "--mode", "production", "--planned")
	wants(t, errs, "connected to the source's disks: process", "--force")
	source.Close()
	l.do(0, "failover", "web", "--mode", "production", "--wait-ready")
	guest := dial(t, l.field("disk", "failover", "status", "web"))
	defer guest.Close()
	_, errs = l.do(exitConflict, "failover", "commit", "web")
	wants(t, errs, id, "connected to the run's disks: process", "--force")
	reader := dial(t, uri)
	_, errs = l.do(exitConflict, "export", "close", "web", id)
	wants(t, errs, "connected to it: process", "--force")
	l.do(0, "export", "close", "web", id, "--force")
	reader.Close()
	_, errs = l.do(exitConflict, "failover", "commit", "web")
	wants(t, errs, "connected to the run's disks: process", "--force")

	answered := make(chan int)
	go func() { // until it is disconnected
		n := 0
		defer func() { answered <- n }()
		for ; n < 1024; n++ {
			if _, err := guest.WriteFUA(bytes.Repeat([]byte{byte(n%255 + 1)}, 4096), int64(n)*4096); err != nil {
				return
			}
		}
	}()
	l.do(0, "failover", "commit", "web", "--force")
	image, err := os.ReadFile(dst)
	if err != nil {
		t.Fatal(err)
	}
	for n := range <-answered {
		if image[n*4096] != byte(n%255+1) {
			t.Fatalf("write %d was answered, and is lost", n)
		}
	}
	for _, args := range [][]string{{"point", "list", "web"}, {"export", "web", "--point", "one"}, {"export", "web", "--at", "1s"}} {
		_, errs := l.do(exitConflict, args...)
		wants(t, errs, "the failover was committed")
	}
	out, _ = l.do(0, "delete", "job", "web", "--yes", "-o", "json")
	wants(t, out, `"name": "web"`, `"deleted": true`)
}
