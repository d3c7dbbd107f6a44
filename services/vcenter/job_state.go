package vcenter

import (
	"context"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// jobRun handles api.VMJobRun.
func (s *jobControl) jobRun(ctx context.Context, r api.VMJobName) (any, error) {
	return api.Empty{}, s.want(ctx, r.Job, true)
}

// jobStop handles api.VMJobStop.
func (s *jobControl) jobStop(ctx context.Context, r api.VMJobName) (any, error) {
	return api.Empty{}, s.want(ctx, r.Job, false)
}

// want records whether a job is to run. Its members follow in the next round.
func (s *jobControl) want(ctx context.Context, job string, running bool) error {
	op := map[bool]string{true: "run job", false: "stop job"}[running]
	if _, err := s.jobs.Get(ctx, job); err != nil {
		if cdp.Is(err, cdp.NotFound) {
			return cdp.Errorf(cdp.NotFound, op, job, "there is no such job").WithHint("apply its file first: tidemark apply -f FILE")
		}
		return cdp.Wrap(err, op, job)
	}
	rec, err := load[jobRecord](ctx, s.records, keyJob+job)
	if err != nil {
		return err
	}
	if rec.Value.Running != running || rec.Value.Deleted != "" && running {
		rec.Value = jobRecord{Running: running, Since: s.clock.Now()}
		if err := rec.save(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.controls[job]; c != nil {
		c.bell.Ring()
	}
	return nil
}

// jobStatus handles api.VMJobStatus.
func (s *jobControl) jobStatus(ctx context.Context, r api.VMJobName) (any, error) {
	reply := api.VMJobsReply{Jobs: []api.VMJobState{}}
	s.mu.Lock()
	jobs := map[string]*control{}
	for name, c := range s.controls {
		if r.Job == "" || r.Job == name {
			jobs[name] = c
		}
	}
	s.mu.Unlock()
	all, bad, err := readable(ctx, s.records, r.Job)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if _, known := jobs[m.Value.Job]; !known {
			jobs[m.Value.Job] = nil
		}
	}
	if r.Job != "" && len(jobs) == 0 {
		return nil, cdp.Errorf(cdp.NotFound, "get status", r.Job, "there is no such job on VMs at this site")
	}
	for name, c := range jobs {
		rec, err := load[jobRecord](ctx, s.records, keyJob+name)
		if err != nil {
			return nil, err
		}
		st := api.VMJobState{Job: name, Running: rec.Value.Running, Members: []api.VMMember{}}
		for _, m := range all {
			if m.Value.Job == name {
				x := memberState(m.Value)
				if c != nil {
					c.mu.Lock()
					x.Power, x.Unseen = c.applied[x.Group].filter.power, c.applied[x.Group].filter.uncaught
					c.mu.Unlock()
				}
				st.Members = append(st.Members, x)
			}
		}
		unreadable, err := s.unreadable(ctx, name, bad)
		if err != nil {
			return nil, err
		}
		for group, m := range unreadable {
			st.Members = append(st.Members, api.VMMember{Group: cdp.GroupID(group), VM: group, UUID: m.vm, State: inventory.Refused, Trouble: m.text()})
		}
		if c != nil {
			c.mu.Lock()
			st.Trouble = c.trouble
			for i, x := range st.Members {
				if c.applied[x.Group].powered && x.Trouble == "" {
					st.Members[i].Trouble = replicaRuns
				}
			}
			for _, b := range c.refused {
				x := api.VMMember{VM: b.vm.Name, Path: b.vm.Path, UUID: b.vm.UUID, State: inventory.Refused, Problems: b.problems, Trouble: c.trouble}
				if len(b.problems) > 0 {
					x.Trouble = b.problems[0].Text
				}
				st.Members = append(st.Members, x)
			}
			c.mu.Unlock()
		}
		slices.SortFunc(st.Members, func(a, b api.VMMember) int { return strings.Compare(a.Path, b.Path) })
		reply.Jobs = append(reply.Jobs, st)
	}
	slices.SortFunc(reply.Jobs, func(a, b api.VMJobState) int { return strings.Compare(a.Job, b.Job) })
	return reply, nil
}

// memberState is a member as the answer has it.
func memberState(m inventory.Member) api.VMMember {
	return api.VMMember{Group: cdp.GroupID(m.Group), VM: m.VM.Name, Path: m.VM.Path, UUID: m.VM.UUID, Replica: m.Name,
		State: m.State, Trouble: m.Trouble, Problems: m.Problems}
}
