package vcenter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// control is one job on VMs and who looks after it.
type control struct {
	kick   chan struct{} // one slot
	cancel context.CancelFunc
	done   chan struct{}
	// tending are looks at VMs that may outlive their round.
	tending sync.WaitGroup

	mu      sync.Mutex
	job     spec.VMJob
	source  source               // what was asked last
	trouble string               // of the job as a whole
	told    map[cdp.GroupID]told // what was done since this process began
	bad     map[string]badVM     // VMs that are refused and have no record, by UUID
}

// told is what is not asked again while it stays the same: asking twice does no
// harm, but costs.
type told struct {
	blocked bool
	runs    bool      // its replica VM runs, which it must not
	run     string    // the desired state that the scheduler was told
	since   time.Time // of the look at it that has not ended
	taps    tapped
}

// badVM is a VM that a job means but cannot protect.
type badVM struct {
	vm       inventory.VM
	problems []inventory.Problem
}

// jobRecord is what must be known of a job on VMs after a restart.
type jobRecord struct {
	Running bool      `json:"running"`
	Since   time.Time `json:"since"`
	// Deleted is the hash of the spec that was deleted: until that is gone
	// nothing is made of it again.
	Deleted string `json:"deleted,omitempty"`
}

func hashOf(job spec.VMJob) string {
	raw, _ := json.Marshal(job) // it was read from JSON
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// watchJobs gives every job on VMs a goroutine of its own, and ends them.
func (s *Service) watchJobs(ctx context.Context) error {
	defer s.endJobs()
	return s.deps.Jobs.Watch(ctx, func(name string, job *spec.VMJob) error {
		s.mu.Lock()
		c := s.jobs[name]
		if job == nil {
			delete(s.jobs, name)
		} else if c == nil {
			cctx, cancel := context.WithCancel(ctx)
			c = &control{kick: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}), job: *job,
				told: map[cdp.GroupID]told{}, bad: map[string]badVM{}}
			s.jobs[name] = c
			go s.keepJob(cctx, name, c)
		}
		s.mu.Unlock()
		if job == nil {
			if c != nil {
				c.cancel()
				<-c.done
			}
			rec, err := load[jobRecord](ctx, s, keyJob+name)
			if err == nil && rec.Value.Deleted != "" {
				err = rec.drop(ctx, s)
			}
			if err != nil && ctx.Err() == nil {
				s.deps.Notify(err)
			}
			return nil
		}
		c.mu.Lock()
		c.job = *job
		c.mu.Unlock()
		c.wake()
		return nil
	})
}

func (s *Service) endJobs() {
	s.mu.Lock()
	var all []*control
	for _, c := range s.jobs {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.cancel()
		<-c.done
	}
}

func (c *control) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// kickAll lets every job be looked at now.
func (s *Service) kickAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.jobs {
		c.wake()
	}
}

// keepJob brings a job to what it should be, again and again. While that fails
// it waits longer.
func (s *Service) keepJob(ctx context.Context, name string, c *control) {
	defer close(c.done)
	defer c.tending.Wait()
	wait, had := s.cfg.Beat, ""
	for ctx.Err() == nil {
		err := s.lookAfter(ctx, name, c)
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		if err == nil {
			wait, had = s.cfg.Beat, ""
		} else {
			if had != err.Error() {
				s.deps.Notify(cdp.Wrap(err, "look after job", name))
			}
			had, c.trouble = err.Error(), err.Error()
			wait = min(2*wait, s.cfg.Retry)
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-c.kick:
			if err != nil { // what fails is not tried with every change at the vCenter
				select {
				case <-ctx.Done():
				case <-s.deps.Clock.After(s.cfg.Beat):
				}
			}
		case <-s.deps.Clock.After(wait):
		}
	}
}
