package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"tidemark.dev/pkg/clock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(runAndStop(ctx, clock.System, os.Stderr, func() int {
		return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}))
}
