package node

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
)

// A lease is renewed at the pace of leaseRenew. Its holder gives it up when it has
// not been able to renew it for leaseGiveUp; another process takes it when it has
// seen no renewal for leaseExpires, by its own clock. So two never hold it.
const (
	leaseRenew   = 2 * time.Second
	leaseGiveUp  = 6 * time.Second
	leaseExpires = 12 * time.Second
)

// lease is orchestrator.Lease: an entry in the state bucket.
type lease struct {
	b     *bus.Bucket[leaseEntry]
	key   string // the service
	me    string // this process
	clock clock.Clock
}

// leaseEntry is what is stored. Each renewal is a new revision.
type leaseEntry struct {
	Holder string `json:"holder"` // empty: it was released
}

func openLease(ctx context.Context, e *env, conn *bus.Conn, service string) (lease, error) {
	b, err := bus.OpenBucket[leaseEntry](ctx, conn, e.site, subjects.BucketState, subjects.KeyLease)
	return lease{b, service, rand.Text(), e.clock}, err
}

func (l lease) Hold(ctx context.Context, fn func(context.Context) error) error {
	rev, err := l.take(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kept := make(chan uint64, 1)
	go func() {
		defer cancel()
		kept <- l.keep(ctx, rev)
	}()
	err = fn(ctx)
	cancel()
	if rev = <-kept; rev != 0 {
		rctx, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		_, _ = l.b.Update(rctx, l.key, leaseEntry{}, rev) // else it expires
	}
	return err
}

// take waits until the lease is released or has expired, and takes it.
func (l lease) take(ctx context.Context) (uint64, error) {
	var seen uint64
	var since time.Time
	for {
		x, err := l.b.Get(ctx, l.key)
		now := l.clock.Now()
		switch {
		case cdp.Is(err, cdp.NotFound):
			if rev, err := l.b.Create(ctx, l.key, leaseEntry{l.me}); err == nil {
				return rev, nil
			}
		case err != nil && !cdp.Is(err, cdp.Corrupt):
			return 0, err
		case x.Revision != seen && x.Value.Holder != "" && x.Value.Holder != l.me:
			seen, since = x.Revision, now
		case x.Value.Holder == "" || x.Value.Holder == l.me || now.Sub(since) >= leaseExpires:
			if rev, err := l.b.Update(ctx, l.key, leaseEntry{l.me}, x.Revision); err == nil {
				return rev, nil
			}
		}
		if err := clock.Sleep(ctx, l.clock, leaseRenew/4); err != nil {
			return 0, err
		}
	}
}

// keep renews the lease until ctx ends or it is lost, and gives its last revision, 0
// for a lost one.
func (l lease) keep(ctx context.Context, rev uint64) uint64 {
	renewed := l.clock.Now()
	for {
		if clock.Sleep(ctx, l.clock, leaseRenew) != nil {
			return rev
		}
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseRenew)
		next, err := l.b.Update(rctx, l.key, leaseEntry{l.me}, rev)
		cancel()
		switch now := l.clock.Now(); {
		case err == nil:
			rev, renewed = next, now
		case cdp.Is(err, cdp.Conflict): // somebody has taken it, or the answer to a renewal was lost
			x, gerr := l.b.Get(context.WithoutCancel(ctx), l.key)
			if gerr != nil || x.Value.Holder != l.me {
				return 0
			}
			rev, renewed = x.Revision, now
		case now.Sub(renewed) > leaseGiveUp:
			return 0
		}
	}
}

// steadyHolder is the name of a lease's holder that a process which was killed and begins
// again on the same machine, in the same directory, has again: it need not wait until its own
// lease has expired. No other process has it until unlock. Empty: another process has it, or
// the directory cannot be used.
func steadyHolder(dir, service string) (me string, unlock func()) {
	nothing := func() {}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nothing
	}
	path := filepath.Join(dir, service+".holder")
	unlock, err := lockFile(path, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return "", nothing
	}
	id, err := os.ReadFile(path)
	if err == nil && len(id) == 0 {
		id = []byte(rand.Text())
		err = os.WriteFile(path, id, 0o600)
	}
	boot, berr := os.ReadFile("/proc/sys/kernel/random/boot_id") // a copy of the directory runs on another machine
	if err != nil || berr != nil {
		unlock()
		return "", nothing
	}
	return string(id) + " " + strings.TrimSpace(string(boot)), unlock
}
