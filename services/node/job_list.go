package node

import (
	"context"
	"slices"
	"strings"
	"sync"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// jobList is what a site's bucket of jobs holds, kept current by a watch and by what
// the scheduler, its only writer, writes itself. To read a thousand jobs from the
// bucket takes a while, and each job of a file is compared with all of them.
type jobList struct {
	b      *bus.Bucket[spec.ReplicationJob]
	target cdp.Site

	once   sync.Once
	synced chan struct{} // closed once all there was at the start is in

	mu   sync.Mutex
	jobs map[string]listedJob
	all  []spec.ReplicationJob // what list gives; nil: jobs have changed
}

// listedJob is the newest that is known of a name; job is nil if it was deleted, or
// cannot be read.
type listedJob struct {
	revision uint64
	job      *spec.ReplicationJob
}

func newJobList(b *bus.Bucket[spec.ReplicationJob], target cdp.Site) *jobList {
	return &jobList{b: b, target: target, synced: make(chan struct{}), jobs: map[string]listedJob{}}
}

// run follows the bucket until ctx ends.
func (l *jobList) run(ctx context.Context, e *env) error {
	return watchEntries(ctx, e, l.b, func() { l.once.Do(func() { close(l.synced) }) }, func(x bus.Entry[spec.ReplicationJob]) error {
		if x.Deleted || x.Lost {
			l.note(x.Key, x.Revision, nil)
		} else {
			l.note(x.Key, x.Revision, &x.Value)
		}
		return nil
	})
}

// note takes what a name has since a revision. What is older than what is known changes
// nothing: the watch may report what was deleted here since.
func (l *jobList) note(name string, revision uint64, job *spec.ReplicationJob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.jobs[name].revision; revision > known || revision == known && job == nil {
		l.jobs[name], l.all = listedJob{revision, job}, nil
	}
}

// list has the jobs of the target. The caller does not change them.
func (l *jobList) list(ctx context.Context) ([]spec.ReplicationJob, error) {
	select {
	case <-l.synced:
	case <-ctx.Done():
		return nil, cdp.Wrap(ctx.Err(), "list jobs", string(l.target))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all != nil {
		return l.all, nil
	}
	out := []spec.ReplicationJob{}
	for _, x := range l.jobs {
		if x.job != nil && x.job.Target.Site == l.target {
			out = append(out, *x.job)
		}
	}
	slices.SortFunc(out, func(a, b spec.ReplicationJob) int { return strings.Compare(a.Name, b.Name) })
	l.all = slices.Clip(out) // who appends gets a copy
	return l.all, nil
}
