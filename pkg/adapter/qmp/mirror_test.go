package qmp

import (
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// rig is a source disk, a client of its daemon, and a target served by qemu-nbd.
type rig struct {
	c                *Client
	nbd              string // where the "guest" writes
	source, target   string // image files
	serve, stopServe func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir := shortDir(t)
	r := &rig{source: filepath.Join(dir, "src.raw"), target: filepath.Join(dir, "tgt.raw")}
	raw(t, r.source, 8<<20)
	raw(t, r.target, 8<<20)
	r.c, r.nbd = storageDaemon(t, dir, r.source)
	socket := filepath.Join(dir, "tgt")
	r.serve = func() {
		cmd := start(t, socket, "qemu-nbd", "--persistent", "--shared=4", "--format=raw", "--export-name=disk", "--socket="+socket, r.target)
		r.stopServe = func() { kill(cmd) }
	}
	r.serve()
	if err := r.c.AddNBD(t.Context(), NBD{Node: "tgt", Address: socket, Export: "disk", ReconnectDelay: time.Second}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) mirror(t *testing.T) *Mirror {
	t.Helper()
	m, err := StartMirror(t.Context(), r.c, MirrorConfig{Job: "tap", Device: "src", Target: "tgt"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMirrorCopiesAndCancels(t *testing.T) {
	r := newRig(t)
	guestWrite(t, r.nbd, 1, 'a')
	m := r.mirror(t)
	guestWrite(t, r.nbd, 3, 'b') // done when the target has it
	st, err := m.Status(t.Context())
	if err != nil || !st.Ready || st.Stopped() || st.Offset > st.Len {
		t.Fatalf("status %+v, %v", st, err)
	}
	if err := m.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ended *JobEnded
	if _, err := m.Status(t.Context()); !errors.As(err, &ended) {
		t.Fatalf("got %v, want JobEnded", err)
	}
	if err := r.c.RemoveNode(t.Context(), "tgt"); err != nil {
		t.Fatal(err)
	}
	sameBytes(t, r.source, r.target)
	guestWrite(t, r.nbd, 5, 'c') // the guest goes on alone
}

// The guest must not notice that the target has gone; the job stops, and after
// Resume the target catches up.
func TestTargetDiesAndReturns(t *testing.T) {
	r := newRig(t)
	m := r.mirror(t)
	r.stopServe()
	guestWrite(t, r.nbd, 2, 'x')
	e, err := m.Next(t.Context())
	if err != nil || e.Name != EventError || e.Operation != "write" || e.Action != "stop" {
		t.Fatalf("event %+v, %v", e, err)
	}
	guestWrite(t, r.nbd, 4, 'y')
	var stopped *JobStopped
	if err := m.WaitSynced(t.Context()); !errors.As(err, &stopped) {
		t.Fatalf("got %v, want JobStopped", err)
	}
	var refused *Error
	if err := m.Cancel(t.Context()); !errors.As(err, &refused) {
		t.Fatalf("cancel of a stopped job: %v, want a refusal", err)
	}
	r.serve()
	if err := m.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	guestWrite(t, r.nbd, 6, 'z')
	if err := m.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	sameBytes(t, r.source, r.target)
}

func TestAbortStoppedJob(t *testing.T) {
	r := newRig(t)
	m := r.mirror(t)
	r.stopServe()
	guestWrite(t, r.nbd, 2, 'x')
	if _, err := m.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	guestWrite(t, r.nbd, 3, 'y')
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	var refused *Error
	if err := r.c.AddNBD(t.Context(), NBD{Node: "x", Address: r.source + ".none"}); !errors.As(err, &refused) {
		t.Fatalf("connect to nothing: %v", err)
	}
	if err := r.c.AddNBD(t.Context(), NBD{Node: "x", Address: "localhost"}); err == nil {
		t.Fatal("an address without a port was accepted")
	}
	if _, err := StartMirror(t.Context(), r.c, MirrorConfig{Job: "j", Device: "none", Target: "tgt"}); !errors.As(err, &refused) {
		t.Fatalf("mirror of nothing: %v", err)
	}
	if err := AdoptMirror(r.c, "none").Resume(t.Context()); !errors.As(err, &refused) || refused.Class != "DeviceNotActive" {
		t.Fatalf("resume of nothing: %v", err)
	}
}
