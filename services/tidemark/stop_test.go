package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/clock"
)

func TestACommandThatDoesNotStopIsEnded(t *testing.T) {
	c := clock.NewSimulated(time.Unix(0, 0))
	ctx, signal := context.WithCancel(t.Context())
	stuck := make(chan int)
	defer close(stuck)
	var said bytes.Buffer
	code := make(chan int)
	go func() { code <- runAndStop(ctx, c, &said, func() int { return <-stuck }) }()
	signal()
	for c.Timers() == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Advance(stopWithin)
	if got := <-code; got != exitFailed || !strings.Contains(said.String(), "did not stop") {
		t.Errorf("exit code %d, %q", got, said.String())
	}
}

func TestACommandThatStopsKeepsItsExitCode(t *testing.T) {
	ctx, signal := context.WithCancel(t.Context())
	code := runAndStop(ctx, clock.System, nil, func() int {
		signal()
		<-ctx.Done()
		return exitConflict
	})
	if code != exitConflict {
		t.Errorf("exit code %d, want %d", code, exitConflict)
	}
}
