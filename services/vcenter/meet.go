package vcenter

import (
	"context"
	"errors"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// meet makes records of the VMs that the source means now, and marks those that
// it means no more.
func (r *round) meet(ctx context.Context, refused map[string][]inventory.Problem, whole bool) error {
	taken := map[string]bool{}
	groups, err := r.s.deps.Groups.List(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		taken[g.Name] = true
	}
	all, err := r.s.members(ctx, "")
	if err != nil {
		return err
	}
	for _, m := range all {
		taken[m.Value.Group] = true
	}
	var errs []error // of one VM each: the others go on
	for _, v := range r.reply.VMs {
		i := slices.IndexFunc(r.members, func(m *member) bool { return m.Value.VM.UUID == v.UUID })
		if i >= 0 {
			errs = append(errs, r.again(ctx, r.members[i], v, refused[v.Name]))
			continue
		}
		if whole || len(refused[v.Name]) > 0 {
			r.refuse(ctx, v, refused[v.Name])
			continue
		}
		group := vmpolicy.GroupName(r.job.Name, v.Name, v.UUID, func(n string) bool { return taken[n] })
		taken[string(group)] = true
		m := &member{key: keyMember + string(group)}
		m.Value = inventory.Member{Group: string(group), Job: r.job.Name, VM: v, JoinedAs: v.Name, Name: r.job.Job.Target.ReplicaName(v.Name)}
		for _, d := range r.job.Job.Source.Chosen(v) {
			at := v.Hardware.Address(d)
			m.Value.Disks = append(m.Value.Disks, inventory.MemberDisk{Name: vmpolicy.DiskName(at), Disk: d, Address: at})
		}
		m.Value.VM.Hardware.Extra = vmpolicy.ReplicaHardware(v.Hardware).Extra
		r.wire(m, inventory.Guest{})
		if err := r.s.become(ctx, m, inventory.Preparing, ""); err != nil {
			errs = append(errs, err)
			continue
		}
		r.members = append(r.members, m)
	}
	for _, m := range r.members {
		meant := slices.ContainsFunc(r.reply.VMs, func(v inventory.VM) bool { return v.UUID == m.Value.VM.UUID })
		// A selector that fails may say nothing of the VMs it would mean.
		unsure := slices.ContainsFunc(r.reply.Problems, func(p inventory.Problem) bool { return p.Rule != "reference" })
		if !meant && !unsure && m.Value.State != inventory.Gone && m.Value.State != inventory.FailedOver {
			errs = append(errs, r.s.become(ctx, m, inventory.Gone, "the job does not mean it any more, or the source deleted it; its replica stays"))
		}
	}
	return errors.Join(errs...)
}

// again is a member that the source still has. What cannot be taken over of it
// is its trouble until it can.
func (r *round) again(ctx context.Context, m *member, v inventory.VM, problems []inventory.Problem) error {
	whole := ctx
	ctx, unlock, ok, err := r.hold(ctx, m)
	if err != nil || !ok {
		return err
	}
	defer unlock()
	if m.Value.State == inventory.Gone {
		if err := r.s.become(ctx, m, inventory.Preparing, ""); err != nil {
			return err
		}
	}
	// One that stands already is not refused for what was found since.
	if m.Value.Replica == "" && len(problems) > 0 {
		m.Value.Problems = problems
		return r.s.become(ctx, m, inventory.Refused, problems[0].Text)
	}
	if m.Value.State == inventory.Refused {
		m.Value.Problems = nil
		if err := r.s.become(ctx, m, inventory.Preparing, ""); err != nil {
			return err
		}
	}
	err = r.follow(ctx, m, v)
	if err == nil || brokenOff(ctx) {
		return nil
	}
	if m.Value.Trouble != err.Error() {
		if berr := r.s.become(whole, m, m.Value.State, err.Error()); berr != nil {
			return errors.Join(err, berr)
		}
	}
	return cdp.Wrap(err, "follow", v.Name)
}

// hold takes a member's lock and reads it again; false while a failover has it.
// With the ctx that it gives it is looked after, until somebody else wants it,
// and never for ever.
func (r *round) hold(ctx context.Context, m *member) (held context.Context, unlock func(), ok bool, err error) {
	held, unlock, ok = r.s.locks.borrow(ctx, "group/"+m.Value.Group, r.s.cfg.LookFor)
	if !ok {
		return nil, nil, false, nil
	}
	if m.exists() {
		now, err := load[inventory.Member](ctx, r.s, m.key)
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

// refuse notes a VM that cannot be protected, and tells it once.
func (r *round) refuse(ctx context.Context, v inventory.VM, problems []inventory.Problem) {
	if r.c == nil {
		return
	}
	r.c.mu.Lock()
	r.c.bad[v.UUID] = badVM{v, problems}
	key := cdp.GroupID("refused/" + v.UUID)
	text := "the job has problems"
	if len(problems) > 0 {
		text = problems[0].Text
	}
	first := r.c.told[key].run != text
	r.c.told[key] = told{run: text}
	r.c.mu.Unlock()
	if first {
		group := vmpolicy.GroupName(r.job.Name, v.Name, v.UUID, func(string) bool { return false })
		r.s.tellMember(ctx, inventory.Member{Job: r.job.Name, Group: string(group), VM: v, State: inventory.Refused}, text)
	}
}

// become writes a member with a state, and tells if that is new.
func (s *Service) become(ctx context.Context, m *member, state inventory.MemberState, trouble string) error {
	was, had := m.Value.State, m.Value.Trouble
	m.Value.State, m.Value.Trouble = state, trouble
	if err := m.save(ctx, s); err != nil {
		m.Value.State, m.Value.Trouble = was, had
		return err
	}
	if was != state || had != trouble {
		s.tellMember(ctx, m.Value, words(m.Value, had))
	}
	return nil
}

// words say how a member stands; had is the trouble that it had before.
func words(m inventory.Member, had string) string {
	switch {
	case m.Trouble != "":
		return m.Trouble
	case m.State == inventory.Preparing:
		return "its replica " + m.Name + " is being prepared"
	case m.State == inventory.Ready && had != "":
		return "its replica " + m.Name + " stands, and its trouble is over: " + had
	}
	return "its replica " + m.Name + " stands"
}

func (s *Service) tellMember(ctx context.Context, m inventory.Member, text string) {
	s.emit(ctx, event.VCenterMemberChanged{Job: m.Job, Group: cdp.GroupID(m.Group), VM: clip(m.VM.Name, 256), State: m.State, Text: clip(text, longestText)})
}

// longestText is how much an event may say.
const longestText = 2048

// clip is as much of a text as there is room for, in characters.
func clip(text string, room int) string {
	r := []rune(text)
	if len(r) <= room {
		return text
	}
	return string(r[:room-3]) + "..."
}

// emit tells a fact; one that cannot be told is no reason to stop.
func (s *Service) emit(ctx context.Context, p event.Payload) {
	if err := s.deps.Events.Emit(ctx, p); err != nil && ctx.Err() == nil {
		s.deps.Notify(cdp.Wrap(err, "tell", p.EventType()))
	}
}

// wire works out a member's networks and addresses at the target. was is what
// the guest told before; kept tells of addresses that are not what it tells now.
func (r *round) wire(m *member, was inventory.Guest) (kept []string) {
	v := &m.Value.VM
	rules := slices.Clone(r.job.Job.Target.ReIP)
	for i := range rules {
		if rules[i].VM != "" && rules[i].VM == m.Value.JoinedAs {
			rules[i].VM = v.Name
		}
	}
	v.Guest, kept = vmpolicy.Remember(was, *v, rules)
	w, _ := vmpolicy.Wire(*v, r.job.Job.Target.Networks, r.target)
	m.Value.Networks, m.Value.Isolated = w.Production, w.Test
	m.Value.Identity, _ = vmpolicy.Identify(*v, rules)
	return kept
}
