package vcenter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/vmpolicy"
)

// round is one look at a job on VMs.
type round struct {
	s       *Service
	c       *control
	vc      VCenter
	job     spec.VMJob
	rec     jobRecord
	target  inventory.Inventory
	place   vmpolicy.Placement
	members []*member
	source
}

// lookAfter brings a job on VMs to what it should be, as far as it can be now.
// Without the source everything at this site goes on.
func (s *Service) lookAfter(ctx context.Context, name string, c *control) error {
	unlock, err := s.locks.lock(ctx, "job/"+name)
	if err != nil {
		return err
	}
	defer unlock()
	always := ctx
	ctx, done := s.locks.yielding(ctx, "job/"+name)
	defer done()
	c.mu.Lock()
	job := c.job
	c.mu.Unlock()
	rec, err := load[jobRecord](ctx, s, keyJob+name)
	if err != nil {
		return err
	}
	if rec.Value.Deleted == hashOf(job) {
		return nil
	}
	r, err := s.newRound(ctx, job, c)
	if err != nil {
		return err
	}
	r.rec = rec.Value
	problems, err := r.problems(ctx)
	if err != nil {
		return err
	}
	var trouble []string
	if !r.answers {
		trouble = append(trouble, fmt.Sprintf("the source site %s does not answer (%s): what is known of its VMs is used", job.SourceSite, r.why))
	}
	refused := map[string][]inventory.Problem{}
	whole := false
	for _, p := range problems {
		if p.VM == "" {
			trouble = append(trouble, p.Text)
			whole = whole || stops(p)
		} else {
			refused[p.VM] = append(refused[p.VM], p)
		}
	}
	c.mu.Lock()
	c.trouble = strings.Join(trouble, "; ")
	if r.answers {
		c.bad = map[string]badVM{}
	}
	c.mu.Unlock()
	var errs []error
	if r.answers {
		errs = append(errs, r.meet(ctx, refused, whole))
	}
	return errors.Join(append(errs, r.tendAll(ctx, always))...)
}

// sideBySide is how many VMs of a job are looked after at a time.
const sideBySide = 8

// tendAll looks after every VM of the job. One whose task takes long is left to
// go on by itself, and told; until it ends, the rounds go on without it. ctx is
// of this round, always of the job.
func (r *round) tendAll(ctx, always context.Context) error {
	free, ended := make(chan struct{}, sideBySide), make(chan int, len(r.members))
	results := make([]error, len(r.members))
	for i, m := range r.members {
		r.c.tending.Go(func() {
			free <- struct{}{}
			defer func() { <-free; ended <- i }()
			if always.Err() == nil {
				results[i] = r.tend(always, m)
			}
		})
	}
	patience := time.NewTimer(r.s.cfg.RoundFor)
	defer patience.Stop()
	done := make([]bool, len(r.members))
	for n, over := 0, false; n < len(done) && !over; {
		select {
		case i := <-ended:
			done[i] = true
			n++
		case <-ctx.Done():
			return nil
		case <-patience.C:
			over = true
		}
	}
	var errs []error
	for i, m := range r.members {
		if done[i] {
			errs = append(errs, results[i])
		} else {
			errs = append(errs, r.stillAt(cdp.GroupID(m.Value.Group)))
		}
	}
	return errors.Join(errs...)
}

// stops says whether a problem of a job as a whole keeps new VMs from joining.
// What is said of VMs that are not there any more does not.
func stops(p inventory.Problem) bool {
	return !p.Warning && p.Rule != "unused" && !strings.HasSuffix(p.Path, "/disk") &&
		!strings.HasPrefix(p.Path, "/spec/source/vms") && !strings.HasPrefix(p.Path, "/spec/target/reIP")
}

// newRound reads what a job is looked at against.
// c is nil for a job that is only checked.
func (s *Service) newRound(ctx context.Context, job spec.VMJob, c *control) (*round, error) {
	r := &round{s: s, job: job, c: c}
	var err error
	if r.vc, err = s.vcenter(ctx); err != nil {
		return nil, err
	}
	if r.target, err = s.inventory(ctx, false); err != nil {
		return nil, err
	}
	r.place, _ = vmpolicy.Place(r.target, job.Job.Target)
	if r.members, err = s.members(ctx, job.Name); err != nil {
		return nil, err
	}
	r.source = r.askSource(ctx, c)
	return r, ctx.Err()
}

// problems is everything that stands in the way of the job.
func (r *round) problems(ctx context.Context) ([]inventory.Problem, error) {
	all, err := r.s.members(ctx, "")
	if err != nil {
		return nil, err
	}
	x := vmpolicy.Situation{
		Job: r.job.Job, Members: r.reply.VMs, Selectors: r.reply.Problems, Target: r.target, Filters: r.filters, Hosts: r.reply.Hosts,
		SameVCenter:  r.reply.About.UUID != "" && r.reply.About.UUID == r.target.About.UUID,
		Taken:        map[string]string{},
		Known:        map[string]string{},
		Made:         map[string]bool{},
		Replicas:     map[string]string{},
		JournalLimit: int64(r.job.Journal.Size),
		JournalFree:  -1,
	}
	x.Job.Name = r.job.Name
	for _, m := range all {
		for _, d := range m.Value.Disks {
			if d.File != "" {
				x.Replicas[inventory.CleanFile(d.File)] = m.Value.Group
			}
		}
		switch {
		case m.Value.Job == r.job.Name:
			x.Known[m.Value.VM.UUID] = m.Value.Group
			x.Made[m.Value.VM.UUID] = slices.ContainsFunc(m.Value.Disks, func(d inventory.MemberDisk) bool { return d.UUID != "" })
		case m.Value.State != inventory.Gone:
			x.Taken[m.Value.VM.UUID] = m.Value.Job
		}
	}
	groups, err := r.s.deps.Groups.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if g.Source.VM != "" && g.Of != r.job.Name {
			x.Taken[g.Source.VM] = cmp.Or(g.Of, g.Name) // the job that an operator knows
		}
	}
	if r.s.deps.Journal != nil {
		if free, err := r.s.deps.Journal.Free(ctx); err == nil {
			x.JournalFree = free
		}
	}
	if !r.answers {
		// What would be said of VMs that are not known now is left out.
		_, places := vmpolicy.Place(r.target, r.job.Job.Target)
		return places, nil
	}
	return vmpolicy.Check(x), nil
}
