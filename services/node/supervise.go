package node

import (
	"context"
	"slices"
	"sync"
	"time"

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
		wg.Go(func() {
			const first, most = 500 * time.Millisecond, 15 * time.Second
			for wait := first; ctx.Err() == nil; wait = min(2*wait, most) {
				began := time.Now()
				err := run(ctx, x)
				if ctx.Err() != nil {
					x.log.Debug("stopped")
					return
				}
				if time.Since(began) > time.Minute {
					wait = first
				}
				x.warn(err, "again in", wait)
				select {
				case <-ctx.Done():
				case <-time.After(wait):
				}
			}
		})
	}
}
