package scheduler

import (
	"context"
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// What an entry describes.
const (
	JobSpec  = "job-spec"
	RunState = "run-state"
)

// BadEntry is a stored value that cannot be read, and so was set aside.
type BadEntry struct {
	Kind string // JobSpec or RunState: the kind of the alarm
	Job  string // the name that it is stored under
	Why  error
	// Restore writes what was there before over it; nil: there was nothing that can
	// be read. Conflict: it was replaced meanwhile.
	Restore func(ctx context.Context) error
}

// BadEntries watches the buckets that the scheduler writes.
type BadEntries interface {
	// Watch calls fn with every bad entry there is and then with every new one until
	// ctx ends.
	Watch(ctx context.Context, fn func(BadEntry) error) error
}

// onBadEntry restores what somebody else has overwritten, and raises an alarm.
// Everybody goes on with the value before it in the meantime.
func (s *Service) onBadEntry(ctx context.Context) func(BadEntry) error {
	return func(b BadEntry) error {
		text := fmt.Sprintf("what is stored cannot be used and was set aside: %v; ", b.Why)
		var err error
		if b.Restore != nil {
			err = b.Restore(ctx)
			text += "what was stored before it was restored"
		} else {
			text += map[string]string{
				JobSpec:  "nothing before it is known: apply the job again (tidemark apply -f FILE), or delete it",
				RunState: "nothing before it is known: start or stop the job again (tidemark job run, tidemark job stop)",
			}[b.Kind]
		}
		if cdp.Is(err, cdp.Conflict) {
			return nil
		}
		if err == nil {
			err = s.deps.Events.Emit(ctx, event.JobAlarm{Job: b.Job[:min(len(b.Job), 200)], Kind: b.Kind, Text: text})
		}
		if err != nil && ctx.Err() == nil {
			s.deps.Notify(cdp.Wrap(err, "set aside the "+b.Kind+" of", b.Job)) // it is seen again at the next start
		}
		return nil
	}
}
