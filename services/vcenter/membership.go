package vcenter

import (
	"context"
	"errors"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// updateMembers makes records of the VMs that the job selects now, and marks
// members that it no longer selects. While joining is blocked, or a VM is refused,
// no new record is made of it.
func (r *round) updateMembers(ctx context.Context, refused map[string][]inventory.Problem, blocked bool) error {
	taken, err := r.takenNames(ctx)
	if err != nil {
		return err
	}
	var errs []error // each of one VM: the others continue
	for _, v := range r.reply.VMs {
		i := slices.IndexFunc(r.members, func(m *member) bool { return m.Value.VM.UUID == v.UUID })
		if i >= 0 {
			errs = append(errs, r.update(ctx, r.members[i], v, refused[v.UUID]))
			continue
		}
		if r.isUnreadable(v) { // it is a member, and would become another
			continue
		}
		if blocked || len(refused[v.UUID]) > 0 {
			r.refuse(ctx, v, refused[v.UUID])
			continue
		}
		group := vmpolicy.GroupName(r.job.Name, v.Name, v.UUID, func(n string) bool { return taken[n] })
		taken[string(group)] = true
		join := r.join
		if r.job.Reverses.TakesBack() {
			join = r.joinOld
		}
		if err := join(ctx, group, v); err != nil {
			errs = append(errs, err)
		}
	}
	for _, m := range r.members {
		selected := slices.ContainsFunc(r.reply.VMs, func(v inventory.VM) bool { return v.UUID == m.Value.VM.UUID })
		if !selected && !r.selectorsFail() && m.Value.State != inventory.Gone && m.Value.State != inventory.FailedOver {
			errs = append(errs, setState(ctx, r.s.report, m, inventory.Gone, "the job no longer selects it, or the source deleted it; its replica stays"))
		}
	}
	return errors.Join(errs...)
}

// isUnreadable reports whether a VM is, or may be, a member whose record cannot be read.
func (r *round) isUnreadable(v inventory.VM) bool {
	for _, m := range r.unreadable {
		if m.vm == v.UUID || m.vm == "" {
			return true
		}
	}
	return false
}

// takenNames are the names of all groups.
func (r *round) takenNames(ctx context.Context) (map[string]bool, error) {
	taken := map[string]bool{}
	groups, err := r.s.groups.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		taken[g.Name] = true
	}
	all, bad, err := readable(ctx, r.s.records, "")
	for _, m := range all {
		taken[m.Value.Group] = true
	}
	for group := range bad {
		taken[group] = true
	}
	return taken, err
}

// selectorsFail: a selector that fails may leave out VMs that it would select.
func (r *round) selectorsFail() bool {
	return slices.ContainsFunc(r.reply.Problems, func(p inventory.Problem) bool { return p.Rule != "reference" && p.VM == "" })
}

// join makes a member of a VM.
func (r *round) join(ctx context.Context, group cdp.GroupID, v inventory.VM) error {
	m := &member{in: r.s.records, key: keyMember + string(group)}
	m.Value = inventory.Member{Group: string(group), Job: r.job.Name, VM: v, JoinedAs: v.Name, Name: r.job.Job.Target.ReplicaName(v.Name)}
	for _, d := range r.job.Job.Source.Chosen(v) {
		at := v.Hardware.Address(d)
		m.Value.Disks = append(m.Value.Disks, inventory.MemberDisk{Name: vmpolicy.DiskName(at), Disk: d, Address: at})
	}
	m.Value.VM.Hardware.Extra = vmpolicy.ReplicaHardware(v.Hardware).Extra
	wire(&m.Value, r.job.Job.Target, r.target, inventory.Guest{})
	if err := setState(ctx, r.s.report, m, inventory.Preparing, ""); err != nil {
		return err
	}
	r.members = append(r.members, m)
	return nil
}

// update brings the record of a member that the job still selects up to date. A
// change of its VM that its replica cannot follow is its trouble.
func (r *round) update(ctx context.Context, m *member, v inventory.VM, problems []inventory.Problem) error {
	whole := ctx
	ctx, unlock, ok, err := r.hold(ctx, m)
	if err != nil || !ok {
		return err
	}
	defer unlock()
	if m.Value.State == inventory.Gone {
		if err := setState(ctx, r.s.report, m, inventory.Preparing, ""); err != nil {
			return err
		}
	}
	// A member with a replica is not refused for problems found later.
	if m.Value.Replica == "" && len(problems) > 0 {
		m.Value.Problems = problems
		return setState(ctx, r.s.report, m, inventory.Refused, problems[0].Text)
	}
	if m.Value.State == inventory.Refused {
		m.Value.Problems = nil
		if err := setState(ctx, r.s.report, m, inventory.Preparing, ""); err != nil {
			return err
		}
	}
	err = r.follow(ctx, m, v)
	if err == nil || interrupted(ctx) {
		return nil
	}
	if m.Value.Trouble != err.Error() {
		if serr := setState(whole, r.s.report, m, m.Value.State, err.Error()); serr != nil {
			return errors.Join(err, serr)
		}
	}
	return cdp.Wrap(err, "follow", v.Name)
}

// refuse notes a VM that cannot be protected, and reports each reason once.
func (r *round) refuse(ctx context.Context, v inventory.VM, problems []inventory.Problem) {
	if r.c == nil {
		return
	}
	text := "the job has problems"
	if len(problems) > 0 {
		text = problems[0].Text
	}
	r.c.mu.Lock()
	r.c.refused[v.UUID] = refusedVM{v, problems}
	isNew := r.c.refusals[v.UUID] != text
	r.c.refusals[v.UUID] = text
	r.c.mu.Unlock()
	if isNew {
		group := vmpolicy.GroupName(r.job.Name, v.Name, v.UUID, func(string) bool { return false })
		r.s.report.member(ctx, inventory.Member{Job: r.job.Name, Group: string(group), VM: v, State: inventory.Refused}, text)
	}
}

// setState saves a member with a state and its trouble, and reports a change of
// either.
func setState(ctx context.Context, report *reporter, m *member, state inventory.MemberState, trouble string) error {
	was, had := m.Value.State, m.Value.Trouble
	m.Value.State, m.Value.Trouble = state, trouble
	if err := m.save(ctx); err != nil {
		m.Value.State, m.Value.Trouble = was, had
		return err
	}
	if was != state || had != trouble {
		report.member(ctx, m.Value, describe(m.Value, had))
	}
	return nil
}

// describe says a member's state in words; had is its earlier trouble.
func describe(m inventory.Member, had string) string {
	switch {
	case m.Trouble != "":
		return m.Trouble
	case m.State == inventory.Preparing:
		return "its replica " + m.Name + " is being prepared"
	case m.State == inventory.Ready && had != "":
		return "its replica " + m.Name + " is ready, and its trouble is over: " + had
	}
	return "its replica " + m.Name + " is ready"
}
