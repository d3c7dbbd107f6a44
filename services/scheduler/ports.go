package scheduler

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// Jobs are the specs that were applied.
type Jobs interface {
	// Get is one job; NotFound.
	Get(ctx context.Context, name string) (spec.ReplicationJob, error)
	// Watch calls fn, from one goroutine, with every job that stands and then
	// with every change until ctx ends; job is nil when it was deleted.
	Watch(ctx context.Context, fn func(name string, job *spec.ReplicationJob) error) error
}

// Desired is what an operator wants of a job.
type Desired string

const (
	Running Desired = "running"
	Stopped Desired = "stopped"
)

// RunState is what is kept of a job's running. A job that has none is stopped.
type RunState struct {
	Desired Desired   `json:"desired"`
	Reason  string    `json:"reason,omitempty"`
	Since   time.Time `json:"since"`
	// Command is the id of the command that set it: the same command again
	// tells its event again, in case that was lost.
	Command string `json:"command,omitempty"`
}

// Running reports whether the job is wanted to run.
func (s RunState) Running() bool { return s.Desired == Running }

// Runs are the run states.
type Runs interface {
	// Get is a job's state and its revision; NotFound.
	Get(ctx context.Context, name string) (RunState, uint64, error)
	// Put writes it if the revision is still the newest, 0 for none; Conflict.
	Put(ctx context.Context, name string, s RunState, revision uint64) error
	// Watch is as Jobs.Watch.
	Watch(ctx context.Context, fn func(name string, s *RunState) error) error
}

// Marks asks the source site for a recovery point. Conflict: one is pending.
type Marks interface {
	Mark(ctx context.Context, site cdp.Site, group cdp.GroupID) error
}

// Events takes facts; it returns when they are kept.
type Events interface {
	Emit(ctx context.Context, p event.Payload) error
}

// Clock is the target's time.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}

// Trace begins the trace of a recovery-point cycle; end is called with its
// outcome.
type Trace func(ctx context.Context, name string) (_ context.Context, end func(error))
