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

// round is one reconciliation of a job on VMs.
type round struct {
	s       *jobControl
	c       *control // nil for a job that is only checked
	vc      memberVMs
	job     spec.VMJob
	rec     jobRecord
	target  inventory.Inventory
	place   vmpolicy.Placement
	members []*member
	// unreadable are the job's members whose records cannot be read, by group.
	unreadable map[string]badMember
	source
}

// reconcile makes this site what the job wants, as far as possible now. Without an
// answer of the source, everything at this site continues.
func (s *jobControl) reconcile(ctx context.Context, name string, c *control) error {
	unlock, err := s.locks.take(ctx, lockJob(name))
	if err != nil {
		return err
	}
	defer unlock()
	always := ctx
	ctx, done := s.locks.Yielding(ctx, lockJob(name))
	defer done()
	c.mu.Lock()
	job := c.job
	c.mu.Unlock()
	rec, err := load[jobRecord](ctx, s.records, keyJob+name)
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
	blocked := false
	for _, p := range problems {
		if p.VM != "" && p.Warning {
			continue
		}
		if p.VM == "" {
			trouble = append(trouble, p.Text)
			blocked = blocked || blocksJoining(p)
		} else {
			refused[p.UUID] = append(refused[p.UUID], p)
		}
	}
	c.mu.Lock()
	c.trouble = strings.Join(trouble, "; ")
	if r.answers {
		c.refused = map[string]refusedVM{}
	}
	c.mu.Unlock()
	var errs []error
	if r.answers {
		errs = append(errs, r.updateMembers(ctx, refused, blocked))
	}
	return errors.Join(append(errs, r.reconcileMembers(ctx, always))...)
}

// concurrentMembers is how many VMs of a job are reconciled at a time.
const concurrentMembers = 8

// reconcileMembers reconciles every VM of the job. One that takes long continues by
// itself and is reported; until it ends, later rounds skip it. ctx is this round's,
// always is the job's.
func (r *round) reconcileMembers(ctx, always context.Context) error {
	free, ended := make(chan struct{}, concurrentMembers), make(chan int, len(r.members))
	results := make([]error, len(r.members))
	for i, m := range r.members {
		r.c.members.Go(func() {
			free <- struct{}{}
			defer func() { <-free; ended <- i }()
			if always.Err() == nil {
				results[i] = r.reconcileMember(always, m)
			}
		})
	}
	patience := r.s.clock.NewTimer(r.s.cfg.RoundFor)
	defer patience.Stop()
	done := make([]bool, len(r.members))
	for n, over := 0, false; n < len(done) && !over; {
		select {
		case i := <-ended:
			done[i] = true
			n++
		case <-ctx.Done():
			return nil
		case <-patience.C():
			over = true
		}
	}
	var errs []error
	for i, m := range r.members {
		if done[i] {
			errs = append(errs, results[i])
		} else {
			errs = append(errs, r.stillRunning(cdp.GroupID(m.Value.Group)))
		}
	}
	return errors.Join(errs...)
}

// reconcileMember reconciles one member: its replica VM, its disks at the
// transporter, and its own job. Steps that were done before a crash are found done.
func (r *round) reconcileMember(ctx context.Context, m *member) error {
	if m.Value.State == inventory.Refused || m.Value.State == inventory.Gone && m.Value.Replica == "" {
		return nil
	}
	whole := ctx
	group := cdp.GroupID(m.Value.Group)
	ctx, unlock, ok, err := r.hold(ctx, m)
	if err == nil && !ok {
		err = r.stillRunning(group)
	}
	if err != nil || !ok {
		return err
	}
	defer unlock()
	r.c.note(group, func(a *applied) { a.since = r.s.clock.Now() })
	defer r.c.note(group, func(a *applied) { a.since = time.Time{} })
	if m.Value.State == inventory.Refused {
		return nil
	}
	work := &memberRound{r, m, group}
	if !r.answers { // else its record has been updated
		err = rewire(ctx, m, r.job.Job.Target, r.target)
	}
	if err == nil {
		err = work.prepareReplica(ctx)
	}
	switch {
	case err == nil:
		err = work.keepJob(ctx)
	case m.Value.State == inventory.Ready && !interrupted(ctx): // a new disk stops no others
		err = errors.Join(err, work.keepJob(ctx))
	}
	if err == nil {
		if m.Value.State == inventory.Preparing {
			return setState(ctx, r.s.report, m, inventory.Ready, "")
		}
		return nil
	}
	if interrupted(ctx) {
		return nil
	}
	if m.Value.State == inventory.Preparing && m.Value.Trouble != err.Error() {
		r.s.report.note(setState(whole, r.s.report, m, inventory.Preparing, err.Error()))
	}
	return cdp.Wrap(err, "prepare replica", m.Value.VM.Name)
}

// hold takes a member's lock and reads its record again; false if the lock is not
// free or a failover has the member. The returned ctx ends when somebody else wants
// the lock, and after LookFor.
func (r *round) hold(ctx context.Context, m *member) (held context.Context, unlock func(), ok bool, err error) {
	held, unlock, ok = r.s.locks.Borrow(ctx, lockGroup(m.Value.Group), r.s.cfg.LookFor)
	if !ok {
		return nil, nil, false, nil
	}
	if m.exists() {
		now, err := load[inventory.Member](ctx, r.s.records, m.key)
		if err != nil || !now.exists() {
			unlock()
			return nil, nil, false, err
		}
		*m = *now
	}
	if m.Value.State == inventory.FailedOver {
		unlock()
		return nil, nil, false, nil
	}
	return held, unlock, true, nil
}

// stillRunning is Transient while an earlier round still reconciles the member.
func (r *round) stillRunning(group cdp.GroupID) error {
	since := r.c.last(group).since
	if since.IsZero() {
		return nil
	}
	return cdp.Errorf(cdp.Transient, "prepare replica", string(group), "it is still running, since %s", since.UTC().Format(time.TimeOnly))
}

// blocksJoining reports whether a problem of the job as a whole keeps new VMs from
// joining. A problem with VMs that do not exist any more does not.
func blocksJoining(p inventory.Problem) bool {
	return !p.Warning && p.Rule != "unused" && !strings.HasSuffix(p.Path, "/disk") &&
		!strings.HasPrefix(p.Path, "/spec/source/vms") && !strings.HasPrefix(p.Path, "/spec/target/reIP") && !strings.HasPrefix(p.Path, "/spec/target/guestLogins")
}

// newRound reads everything that the job is compared with. c is nil for a job that
// is only checked.
func (s *jobControl) newRound(ctx context.Context, job spec.VMJob, c *control) (*round, error) {
	r := &round{s: s, job: job, c: c}
	var err error
	if r.vc, err = s.connect(ctx); err != nil {
		return nil, err
	}
	if r.target, err = s.cache.get(ctx); err != nil {
		return nil, err
	}
	r.place, _ = vmpolicy.Place(r.target, job.Job.Target)
	var bad map[string]error
	if r.members, bad, err = readable(ctx, s.records, job.Name); err != nil {
		return nil, err
	}
	if r.unreadable, err = s.unreadable(ctx, job.Name, bad); err != nil {
		return nil, err
	}
	r.source = r.askSource(ctx, c)
	return r, ctx.Err()
}

// problems are all problems of the job.
func (r *round) problems(ctx context.Context) ([]inventory.Problem, error) {
	all, _, err := readable(ctx, r.s.records, "")
	if err != nil {
		return nil, err
	}
	x := vmpolicy.Situation{
		Job: r.job.Job, Members: r.vms(), Selectors: r.reply.Problems, Twins: r.reply.Twins, SourceSlots: r.reply.Slots, Target: r.target, Filters: r.filters, Hosts: r.reply.Hosts,
		SameVCenter:  r.reply.About.UUID != "" && r.reply.About.UUID == r.target.About.UUID,
		TakesBack:    r.job.Reverses.TakesBack(),
		Taken:        map[string]string{},
		Known:        map[string]string{},
		Made:         map[string]bool{},
		Replicas:     map[string]string{},
		JournalLimit: int64(r.job.Journal.Size),
		JournalFree:  -1,
		RPO:          r.job.RPO.Std(),
		CallTime:     r.reply.CallTime,
	}
	x.Job.Name = r.job.Name
	if site, err := r.s.site(ctx); err == nil {
		x.Transporter, _ = r.target.FindVM(site.Transporter)
	}
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
		case m.Value.State != inventory.Gone && !r.follows(m.Value.Group):
			x.Taken[m.Value.VM.UUID] = m.Value.Job
		}
	}
	groups, err := r.s.groups.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if g.Source.VM != "" && g.Of != r.job.Name && !r.follows(g.Name) {
			x.Taken[g.Source.VM] = cmp.Or(g.Of, g.Name) // the job that an operator knows
			if g.Source.Site == r.job.SourceSite && g.Source.Capture == cdp.CBT {
				x.Others = append(x.Others, vmpolicy.Load{VMs: 1, Disks: len(g.Source.Disks), Every: vmpolicy.PassEvery(g.RPO.Std())})
			}
		}
	}
	if r.job.Reverses.TakesBack() { // its disks are there
		for _, v := range x.Members {
			x.Made[v.UUID] = true
		}
	}
	if r.s.journal != nil {
		if free, err := r.s.journal.Free(ctx); err == nil {
			x.JournalFree = free
		}
	}
	if len(x.Members) == 0 && !r.answers { // a check would say that the job selects none
		_, places := vmpolicy.Place(r.target, r.job.Job.Target)
		return places, nil
	}
	return vmpolicy.Check(x), nil
}

// vms are the VMs that the job selects: while the source does not answer, its members
// as they were seen last.
func (r *round) vms() []inventory.VM {
	if r.answers {
		return r.reply.VMs
	}
	var out []inventory.VM
	for _, m := range r.members {
		if m.Value.State != inventory.Gone {
			out = append(out, m.Value.VM)
		}
	}
	return out
}

// follows reports whether the job takes the place of a group that was failed over in the
// round before.
func (r *round) follows(group string) bool {
	return r.job.Reverses != nil && r.job.Reverses.Before == group
}
