package vcenter

import (
	"context"
	"errors"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/keylock"
)

// locks are by name: group/<group> for a member and its VM, job/<job> for a job on
// VMs, inventory and seeds.
type locks struct{ keylock.Locks[string] }

func lockGroup(group string) string { return "group/" + group }

func lockJob(job string) string { return "job/" + job }

// take waits for a lock, whose holder is asked to yield.
func (l *locks) take(ctx context.Context, name string) (unlock func(), err error) {
	if unlock, err = l.Lock(ctx, name); err != nil {
		return nil, cdp.Errorf(cdp.Transient, "wait for lock", name, "%w", err)
	}
	return unlock, nil
}

// interrupted reports whether work under ctx had to stop before its time was up.
// Its failure is then no trouble: it is done later.
func interrupted(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded)
}
