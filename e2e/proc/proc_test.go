package proc

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	p := &Process{Name: "it", Args: []string{"/bin/sh", "-c", "trap 'exit 0' TERM; echo $A; while :; do sleep 0.01; done"}, Env: []string{"A=lives"}, Log: filepath.Join(t.TempDir(), "log")}
	if p.Running() == nil {
		t.Fatal("it runs before it was started")
	}
	for range 2 {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if p.Start() == nil || p.Running() != nil {
			t.Fatal("it does not run, or was started twice")
		}
		Kill(p)
		if p.Running() == nil {
			t.Fatal("it survived kill -9")
		}
	}
	before := p.Tail(100)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for p.Tail(100) == before { // until it listens
		if err := p.Running(); err != nil {
			t.Fatal(err)
		}
	}
	if err := Stop(time.Minute, p); err != nil {
		t.Fatal(err)
	}
	// How far a killed one came is chance, but each writes before it sleeps.
	if got := p.Tail(100); len(got) > 3*len("lives\n") || strings.Trim(got, "lives\n") != "" {
		t.Fatalf("it said %q", got)
	}
}

func TestStopTellsABadEnd(t *testing.T) {
	p := &Process{Name: "bad", Args: []string{"/bin/sh", "-c", "sleep 60"}, Log: filepath.Join(t.TempDir(), "log")}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := Stop(time.Minute, p); err == nil {
		t.Fatal("it was ended by a signal, which is not told")
	}
	if err := Stop(time.Minute, p); err != nil {
		t.Fatalf("stopped again: %v", err)
	}
}

func TestStopKillsWhoDoesNotListen(t *testing.T) {
	p := &Process{Name: "deaf", Args: []string{"/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"}, Log: filepath.Join(t.TempDir(), "log")}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for p.Tail(10) != "ready\n" {
		if err := p.Running(); err != nil {
			t.Fatal(err)
		}
	}
	if err := Stop(10*time.Millisecond, p); err == nil || p.Running() == nil {
		t.Fatalf("it was not killed: %v", err)
	}
}
