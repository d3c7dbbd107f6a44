package capture

import (
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// jobKey names a job: the site that owns its spec, which is its target, and its
// name there.
type jobKey struct {
	target cdp.Site
	name   string
}

func (k jobKey) group() cdp.GroupID { return cdp.GroupID(k.name) }

// keptJobs is what is known of the jobs of this site.
type keptJobs struct {
	one     sync.Mutex       // held while a job is applied: one at a time
	retries map[jobKey]retry // of jobs that could not be applied, or are not forgotten yet; guarded by one

	mu sync.Mutex // guards what follows
	// known is the spec that each group has, with the address of its tap.
	// Invariant: a group belongs to one job, of the target in its spec.
	known   map[cdp.GroupID]spec.ReplicationJob
	running map[jobKey]bool
	refused map[jobKey]error // why a job is not captured, or not as its spec says
}

func newKeptJobs() keptJobs {
	return keptJobs{retries: map[jobKey]retry{}, known: map[cdp.GroupID]spec.ReplicationJob{},
		running: map[jobKey]bool{}, refused: map[jobKey]error{}}
}

// get is the job of a group.
func (j *keptJobs) get(g cdp.GroupID) (spec.ReplicationJob, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	job, ok := j.known[g]
	return job, ok
}

// owner is the job that has a group, if it is not the one of key.
func (j *keptJobs) owner(key jobKey) (other jobKey, taken bool) {
	job, ok := j.get(key.group())
	return jobKey{job.Target.Site, key.name}, ok && job.Target.Site != key.target
}

func (j *keptJobs) set(g cdp.GroupID, job spec.ReplicationJob) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.known[g] = job
}

func (j *keptJobs) forget(g cdp.GroupID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.known, g)
}

// refuse keeps why a job is not captured; nil: it is, or nobody wants it.
func (j *keptJobs) refuse(key jobKey, why error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if delete(j.refused, key); why != nil {
		j.refused[key] = why
	}
}

func (j *keptJobs) setRunning(key jobKey, running bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.running[key] = running
}

// runs is an error unless the job of a group is wanted to replicate.
func (j *keptJobs) runs(g cdp.GroupID) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.running[jobKey{j.known[g].Target.Site, string(g)}] {
		return notRunning(g)
	}
	return nil
}

func notRunning(g cdp.GroupID) *cdp.Error {
	return cdp.Errorf(cdp.Transient, "replicate", string(g), "the job is not running").
		WithHint("start it with: tidemark job run " + string(g))
}
