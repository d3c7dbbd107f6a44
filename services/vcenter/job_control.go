package vcenter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/wake"
)

// jobControl keeps the jobs on VMs whose target is this site: it reconciles each of
// them in a goroutine of its own.
type jobControl struct {
	cfg     Config
	connect func(context.Context) (memberVMs, error)
	site    func(context.Context) (Site, error)
	cache   *inventoryCache
	hotadd  *hotadd
	lanes   *lanes
	locks   *locks
	records Records
	jobs    Jobs
	groups  Groups
	sourced SourceSpecs
	peer    Peer
	runs    Runs
	journal Journal
	capture Capture
	local   Files
	guests  Guests
	report  *reporter
	clock   clock.Clock

	mu       sync.Mutex
	controls map[string]*control
}

// memberVMs is what jobControl needs of a vCenter.
type memberVMs interface {
	VMReader
	DiskReader
	VMMaker
	VMEditor
	DiskFiles
	DiskSlots
	PowerBlock
	FilterTaps
}

// control is one job on VMs and its goroutine.
type control struct {
	bell   wake.Bell
	cancel context.CancelFunc
	done   chan struct{}
	// members are goroutines that reconcile a VM. They may outlive their round.
	members sync.WaitGroup

	mu      sync.Mutex
	job     spec.VMJob
	source  source                  // the source's last answer
	trouble string                  // of the job as a whole
	applied map[cdp.GroupID]applied // since this process began
	refused map[string]refusedVM    // VMs that are refused and have no record, by UUID
	// refusals are the reasons that were last reported for those VMs, by UUID.
	refusals map[string]string
}

// applied is what was last done about a member, so that it is not repeated while it
// stays the same. Repeating it is harmless, but costs calls.
type applied struct {
	blocked  bool
	powered  bool      // its replica VM is on, which it must not be
	schedule string    // the desired state that the scheduler has
	since    time.Time // when the look at it began that has not ended
	filter   filterHealth
}

// refusedVM is a VM that a job selects but cannot protect.
type refusedVM struct {
	vm       inventory.VM
	problems []inventory.Problem
}

// jobRecord is what must be known of a job on VMs after a restart.
type jobRecord struct {
	Running bool      `json:"running"`
	Since   time.Time `json:"since"`
	// Deleted is the hash of the spec that was deleted: until that spec is gone,
	// nothing is made of it again.
	Deleted string `json:"deleted,omitempty"`
}

func hashOf(job spec.VMJob) string {
	raw, _ := json.Marshal(job) // it was read from JSON
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// watchJobs starts a goroutine for every job on VMs, and ends them.
func (s *jobControl) watchJobs(ctx context.Context) error {
	defer s.endJobs()
	return s.jobs.Watch(ctx, func(name string, job *spec.VMJob) error {
		s.mu.Lock()
		c := s.controls[name]
		if job == nil {
			delete(s.controls, name)
		} else if c == nil {
			cctx, cancel := context.WithCancel(ctx)
			c = &control{bell: wake.New(), cancel: cancel, done: make(chan struct{}), job: *job,
				applied: map[cdp.GroupID]applied{}, refused: map[string]refusedVM{}, refusals: map[string]string{}}
			s.controls[name] = c
			go s.keepJob(cctx, name, c)
		}
		s.mu.Unlock()
		if job == nil {
			if c != nil {
				c.cancel()
				<-c.done
			}
			rec, err := load[jobRecord](ctx, s.records, keyJob+name)
			if err == nil && rec.Value.Deleted != "" {
				err = rec.drop(ctx)
			}
			if err != nil && ctx.Err() == nil {
				s.report.notify(err)
			}
			return nil
		}
		c.mu.Lock()
		c.job = *job
		c.mu.Unlock()
		c.bell.Ring()
		return nil
	})
}

func (s *jobControl) endJobs() {
	s.mu.Lock()
	var all []*control
	for _, c := range s.controls {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.cancel()
		<-c.done
	}
}

// wakeAll has every job reconciled now.
func (s *jobControl) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.controls {
		c.bell.Ring()
	}
}

// keepJob reconciles a job again and again. While that fails, it backs off.
func (s *jobControl) keepJob(ctx context.Context, name string, c *control) {
	defer close(c.done)
	defer c.members.Wait()
	// After a failure the first pause is twice the beat.
	failing, had := clock.Backoff{Min: 2 * s.cfg.Beat, Max: s.cfg.Retry}, ""
	for ctx.Err() == nil {
		err := s.reconcile(ctx, name, c)
		if ctx.Err() != nil {
			return
		}
		wait := s.cfg.Beat
		c.mu.Lock()
		if err == nil {
			failing.Reset()
			had = ""
		} else {
			if had != err.Error() {
				s.report.notify(cdp.Wrap(err, "reconcile job", name))
			}
			had, c.trouble = err.Error(), err.Error()
			wait = min(failing.Next(), s.cfg.Retry)
		}
		c.mu.Unlock()
		timer := s.clock.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-c.bell:
			if err != nil { // a failure is not retried with every change at the vCenter
				_ = clock.Sleep(ctx, s.clock, s.cfg.Beat)
			}
		case <-timer.C():
		}
		timer.Stop()
	}
}

// last is what was last applied for a group.
func (c *control) last(g cdp.GroupID) applied {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applied[g]
}

// note changes what was last applied for a group.
func (c *control) note(g cdp.GroupID, change func(*applied)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.applied[g]
	change(&a)
	c.applied[g] = a
}
