package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"tidemark.dev/pkg/clock"
)

// stopWithin is how long a command may take to stop after a signal. Longer
// means that it is stuck, on a dead disk for instance.
const stopWithin = 10 * time.Second

// runAndStop is the exit code of run, which ends with ctx; if it does not end in
// time, it is given up. The process may end at any instruction: no state that
// matters depends on a clean stop.
func runAndStop(ctx context.Context, c clock.Clock, errw io.Writer, run func() int) int {
	code := make(chan int, 1)
	go func() { code <- run() }()
	select {
	case x := <-code:
		return x
	case <-ctx.Done():
	}
	late := c.NewTimer(stopWithin)
	defer late.Stop()
	select {
	case x := <-code:
		return x
	case <-late.C():
		fmt.Fprintf(errw, "tidemark: it did not stop within %s, so it was ended as it was; nothing stored is lost\n", stopWithin)
		return exitFailed
	}
}
