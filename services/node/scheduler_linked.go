package node

import (
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/scheduler"
)

// linkedJobs is scheduler.Linked: the copies of what the linked sites have stored, by site.
type linkedJobs struct {
	jobs map[cdp.Site]*bus.Bucket[spec.ReplicationJob]
	runs map[cdp.Site]*bus.Bucket[failoverrun.Run]
}

var _ scheduler.Linked = linkedJobs{}

func openLinked(ctx context.Context, e *env, conn *bus.Conn) (linkedJobs, error) {
	out := linkedJobs{map[cdp.Site]*bus.Bucket[spec.ReplicationJob]{}, map[cdp.Site]*bus.Bucket[failoverrun.Run]{}}
	jobs, err := openCopies[spec.ReplicationJob](ctx, e, conn, subjects.BucketSpec, subjects.KeyJob)
	if err != nil {
		return out, err
	}
	runs, err := openCopies[failoverrun.Run](ctx, e, conn, subjects.BucketState, subjects.KeyFailover)
	if err != nil {
		return out, err
	}
	for i, p := range e.peers {
		out.jobs[p], out.runs[p] = jobs[i], runs[i]
	}
	return out, nil
}

func (l linkedJobs) Job(ctx context.Context, site cdp.Site, name string) (spec.ReplicationJob, error) {
	b := l.jobs[site]
	if b == nil {
		return spec.ReplicationJob{}, cdp.Errorf(cdp.Invalid, "find job", name, "this site has no link with %q", site)
	}
	x, err := b.Get(ctx, name)
	return x.Value, err
}

func (l linkedJobs) Failover(ctx context.Context, site cdp.Site, job string) (*failoverrun.Run, error) {
	b := l.runs[site]
	if b == nil {
		return nil, nil
	}
	x, err := b.Get(ctx, job)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	return &x.Value, err
}
