package node

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
)

// role runs a service at a site until ctx ends. An error is why it stopped; it
// is started again.
type role func(ctx context.Context, e *env) error

// roles are the services of this binary.
func roles() map[string]role {
	return map[string]role{
		subjects.Capture:    runCapture,
		subjects.Journal:    runJournal,
		subjects.Scheduler:  runScheduler,
		subjects.RPOMonitor: runRPOMonitor,
		subjects.Failover:   runFailover,
		subjects.VCenter:    runVCenter,

		subjects.Orchestrator: runOrchestrator,
	}
}

// Services are the names of the services that a node can run.
func Services() []string {
	var names []string
	for n := range roles() {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// supervise runs services until ctx ends, and returns when all have stopped.
// One that fails is started again after a while and does not disturb the rest.
func supervise(ctx context.Context, e *env, services []string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, name := range services {
		x, run := e.with(name), roles()[name]
		wg.Go(func() { keepRunning(ctx, x, func(ctx context.Context) error { return run(ctx, x) }) })
	}
}

// withParts runs a service that serves disks, and its other parts beside it. Only
// the service itself can end: while a part fails and is run again, guests have
// their disks.
func withParts(ctx context.Context, e *env, service func(context.Context) error, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, part := range parts {
		wg.Go(func() { keepRunning(ctx, e, part) })
	}
	return service(ctx)
}

// steady is how long a service must have run for its next failure to be taken
// for a new one.
const steady = time.Minute

// keepRunning runs a service, or a part of one whose failure must not end the
// rest, until ctx ends.
func keepRunning(ctx context.Context, e *env, run func(context.Context) error) {
	again := clock.Backoff{Clock: e.clock, Min: 500 * time.Millisecond, Max: 15 * time.Second}
	for {
		began := e.clock.Now()
		err := run(ctx)
		if ctx.Err() != nil {
			e.log.Debug("stopped")
			return
		}
		if clock.Since(e.clock, began) > steady {
			again.Reset()
		}
		pause := again.Next()
		e.warn(err, "again in", pause)
		if clock.Sleep(ctx, e.clock, pause) != nil {
			return
		}
	}
}
