package vcenter

import (
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/spec"
	"tidemark.dev/pkg/vms"
)

// round is one look at a job on VMs.
type round struct {
	s       *Service
	c       *control
	vc      VCenter
	job     spec.VMJob
	rec     jobRecord
	target  vms.Inventory
	place   vms.Placement
	answers bool // the source did
	reply   api.MembersReply
	filters []vms.Filter
	members []*member
}

// lookAfter brings a job on VMs to what it should be, as far as it can be now.
// Without the source everything at this site goes on.
func (s *Service) lookAfter(ctx context.Context, name string, c *control) error {
	unlock, err := s.locks.lock(ctx, "job/"+name)
	if err != nil {
		return err
	}
	defer unlock()
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
	r, err := s.newRound(ctx, job)
	if err != nil {
		return err
	}
	r.c, r.rec = c, rec.Value
	problems, err := r.problems(ctx)
	if err != nil {
		return err
	}
	var trouble []string
	if !r.answers {
		trouble = append(trouble, "the source site "+string(job.SourceSite)+" does not answer: what is known of its VMs is used")
	}
	refused := map[string][]vms.Problem{}
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
	c.bad = map[string]badVM{}
	c.mu.Unlock()
	var errs []error
	if r.answers {
		errs = append(errs, r.meet(ctx, refused, whole))
	}
	for _, m := range r.members {
		errs = append(errs, r.tend(ctx, m))
	}
	return errors.Join(errs...)
}

// stops says whether a problem of a job as a whole keeps new VMs from joining.
// What is said of VMs that are not there any more does not.
func stops(p vms.Problem) bool {
	return p.Rule != "unused" && !strings.HasSuffix(p.Path, "/disk") &&
		!strings.HasPrefix(p.Path, "/spec/source/vms") && !strings.HasPrefix(p.Path, "/spec/target/reIP")
}

// newRound reads what a job is looked at against.
func (s *Service) newRound(ctx context.Context, job spec.VMJob) (*round, error) {
	r := &round{s: s, job: job}
	var err error
	if r.vc, err = s.deps.VCenter(ctx); err != nil {
		return nil, err
	}
	if r.target, err = s.inventory(ctx, false); err != nil {
		return nil, err
	}
	r.place, _ = r.target.Resolve(job.Job.Target)
	if r.members, err = s.members(ctx, job.Name); err != nil {
		return nil, err
	}
	r.reply, err = s.deps.Peer.Members(ctx, job.SourceSite, api.MembersRequest{VMs: job.Job.Source.VMs})
	if err != nil && !cdp.Is(err, cdp.Transient) {
		return nil, cdp.Wrap(err, "ask the source for its VMs", string(job.SourceSite))
	}
	r.answers = err == nil
	if r.answers {
		r.renamed(ctx)
	}
	if r.answers && job.Job.Source.Capture == "tap" {
		r.filters = r.sourceFilters(ctx)
	}
	return r, nil
}

// renamed finds members that a selector meant by name or path before they were
// renamed or moved: they are meant still.
func (r *round) renamed(ctx context.Context) {
	r.reply.Problems = slices.DeleteFunc(r.reply.Problems, func(p vms.Problem) bool {
		n, err := strconv.Atoi(strings.TrimPrefix(p.Path, "/spec/source/vms/"))
		if err != nil || p.Rule != "reference" || n >= len(r.job.Job.Source.VMs) {
			return false
		}
		x := r.job.Job.Source.VMs[n]
		name := x.Name
		if x.Path != "" {
			name = path.Base(x.Path)
		}
		i := slices.IndexFunc(r.members, func(m *member) bool { return name != "" && m.Value.Name == r.job.Job.Target.ReplicaName(name) })
		if i < 0 {
			return false
		}
		again, err := r.s.deps.Peer.Members(ctx, r.job.SourceSite, api.MembersRequest{VMs: []vms.Selector{{UUID: r.members[i].Value.VM.UUID}}})
		if err != nil || len(again.VMs) != 1 {
			return false
		}
		if !slices.ContainsFunc(r.reply.VMs, func(v vms.VM) bool { return v.UUID == again.VMs[0].UUID }) {
			r.reply.VMs = append(r.reply.VMs, again.VMs...)
			r.reply.Hosts = append(r.reply.Hosts, again.Hosts...)
		}
		return true
	})
}

// sourceFilters are the I/O filters where the VMs run; nil when that cannot be
// told.
func (r *round) sourceFilters(ctx context.Context) []vms.Filter {
	out := []vms.Filter{}
	var asked []vms.Ref
	for _, h := range r.reply.Hosts {
		if slices.Contains(asked, h.Cluster) {
			continue
		}
		asked = append(asked, h.Cluster)
		reply, err := r.s.deps.Peer.Filters(ctx, r.job.SourceSite, api.FilterRequest{Cluster: string(h.Cluster)})
		if err != nil {
			return nil
		}
		for _, f := range reply.Filters {
			if i := slices.IndexFunc(out, func(x vms.Filter) bool { return x.ID == f.ID }); i >= 0 {
				out[i].Hosts = append(out[i].Hosts, f.Hosts...)
			} else {
				out = append(out, f)
			}
		}
	}
	if len(asked) == 0 {
		return nil
	}
	return out
}

// problems is everything that stands in the way of the job.
func (r *round) problems(ctx context.Context) ([]vms.Problem, error) {
	all, err := r.s.members(ctx, "")
	if err != nil {
		return nil, err
	}
	x := vms.Situation{
		Job: r.job.Job, Members: r.reply.VMs, Selectors: r.reply.Problems, Target: r.target, Filters: r.filters,
		SameVCenter:  r.reply.About.UUID != "" && r.reply.About.UUID == r.target.About.UUID,
		Taken:        map[string]string{},
		Known:        map[string]string{},
		Made:         map[string]bool{},
		JournalLimit: int64(r.job.Journal.Size),
		JournalFree:  -1,
	}
	x.Job.Name = r.job.Name
	for _, m := range all {
		switch {
		case m.Value.Job == r.job.Name:
			x.Known[m.Value.VM.UUID] = m.Value.Group
			x.Made[m.Value.VM.UUID] = slices.ContainsFunc(m.Value.Disks, func(d vms.MemberDisk) bool { return d.UUID != "" })
		case m.Value.State != stateGone:
			x.Taken[m.Value.VM.UUID] = m.Value.Job
		}
	}
	groups, err := r.s.deps.Groups.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if g.Source.VM != "" && g.Of != r.job.Name {
			x.Taken[g.Source.VM] = g.Name
		}
	}
	if r.s.deps.Journal != nil {
		if free, err := r.s.deps.Journal.Free(ctx); err == nil {
			x.JournalFree = free
		}
	}
	if !r.answers {
		// What would be said of VMs that are not known now is left out.
		_, places := r.target.Resolve(r.job.Job.Target)
		return places, nil
	}
	return vms.Check(x), nil
}
