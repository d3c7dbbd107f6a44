package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// jobHealth is how a job stands: of disks, of a VM, or of VMs.
type jobHealth struct {
	health
	// Of is the job on VMs that the job of a VM belongs to.
	Of string `json:"of,omitempty"`
	// VMs are those of a job on VMs, not nil then.
	VMs []vmHealth `json:"vms,omitempty"`
}

// vmHealth is how one VM of a job stands.
type vmHealth struct {
	VM      string `json:"vm"`
	Group   string `json:"group,omitempty"` // its own job
	Replica string `json:"replica,omitempty"`
	// Member is what the vcenter service says of it: preparing, ready, refused,
	// gone, failed-over; empty where that is silent.
	Member   inventory.MemberState `json:"member,omitempty"`
	State    string                `json:"state"`
	RPO      string                `json:"rpo"`
	Problems []problem             `json:"problems,omitempty"`
}

// vmFacts are what judgeVMs looks at.
type vmFacts struct {
	job   spec.VMJob
	state *api.VMJobState // nil: not known
	err   error           // why it is not
	// members are the VMs' own jobs, judged, by name of job.
	members []jobHealth
}

// judgeVMs says how a job on VMs stands. It is pure.
func judgeVMs(f vmFacts) jobHealth {
	name := f.job.Name
	h := jobHealth{VMs: []vmHealth{}}
	h.Job, h.Objective, h.RPO, h.State, h.History = name, f.job.RPO.String(), "no data", stUnknown, f.job.Journal.History.String()
	bad := func(do, format string, args ...any) {
		h.Problems = append(h.Problems, problem{fmt.Sprintf(format, args...), do})
	}
	if f.err != nil {
		bad("is the service vcenter running at the target? what is replicated can be failed over without it", "the vCenter's service does not answer: %v", f.err)
	}
	if f.err == nil && f.state == nil {
		bad("wait a moment", "the vCenter's service has not taken it up yet")
	}
	own := map[string]*jobHealth{}
	for i, m := range f.members {
		own[m.Job] = &f.members[i]
	}
	if f.state != nil {
		if f.state.Trouble != "" {
			bad("", "%s", f.state.Trouble)
		}
		for _, m := range f.state.Members {
			h.VMs = append(h.VMs, judgeVM(m, own[string(m.Group)]))
			delete(own, string(m.Group))
		}
	}
	for _, m := range f.members {
		if own[m.Job] != nil { // the service does not tell of it
			h.VMs = append(h.VMs, vmHealth{VM: m.Job, Group: m.Job, State: m.State, RPO: m.RPO, Problems: m.Problems})
		}
	}
	protected, waiting := 0, 0
	for _, v := range h.VMs {
		switch {
		case v.State == stProtected:
			protected++
		case v.Member == inventory.Gone || v.Member == inventory.FailedOver:
			waiting++
		}
	}
	switch {
	case f.state != nil && !f.state.Running:
		h.State = stNotRunning
		bad("tidemark job run "+name, "the job is not running: no recovery points are made")
	case len(h.VMs) == 0 && f.state != nil:
		h.State = stNoData
		bad("", "it means no VM now")
	case len(h.VMs) > 0 && protected == len(h.VMs)-waiting && protected > 0 && f.state != nil:
		h.State = stProtected
	case protected > 0:
		h.State = fmt.Sprintf("%d of %d protected", protected, len(h.VMs)-waiting)
	case len(h.VMs) > 0:
		h.State = worst(h.VMs)
	}
	return h
}

// badness are the states of VMs that are not protected, the worst first; what is
// not in it is the least.
var badness = []string{stFailed, stLate, stNoPoints, stUnseen, stResyncing, stFailingOver, string(inventory.Refused), stNoData, stSeeding, string(inventory.Preparing), stUnknown, stNotRunning, stOff}

// worst is the worst state of VMs. One that its job does not mean any more, or
// that was failed over, counts only if there is no other.
func worst(all []vmHealth) string {
	rank := func(v vmHealth) int {
		if v.Member == inventory.Gone || v.Member == inventory.FailedOver {
			return len(badness) + 1
		}
		if i := slices.Index(badness, v.State); i >= 0 {
			return i
		}
		return len(badness)
	}
	return slices.MinFunc(all, func(a, b vmHealth) int { return cmp.Compare(rank(a), rank(b)) }).State
}

// judgeVM says how one VM stands: as its own job does, unless it has none yet
// or the vcenter service knows worse.
func judgeVM(m api.VMMember, own *jobHealth) vmHealth {
	v := vmHealth{VM: m.VM, Group: string(m.Group), Replica: m.Replica, Member: m.State, State: string(m.State), RPO: "no data"}
	if own != nil {
		v.RPO, v.Problems = own.RPO, own.Problems
		if m.State == inventory.Ready || m.State == inventory.Gone {
			v.State = own.State
		}
	}
	if m.Unseen != "" && !slices.ContainsFunc(v.Problems, func(p problem) bool { return strings.Contains(p.Text, m.Unseen) }) {
		v.Problems = append([]problem{{Text: "its writes are not told: " + m.Unseen}}, v.Problems...)
		if v.State == stProtected {
			v.State = stUnseen
		}
	}
	if m.Trouble != "" && !slices.ContainsFunc(v.Problems, func(p problem) bool { return p.Text == m.Trouble }) {
		v.Problems = append([]problem{{Text: m.Trouble}}, v.Problems...)
	}
	for _, p := range m.Problems {
		if p.Text != m.Trouble {
			v.Problems = append(v.Problems, problem{Text: problemText(p)})
		}
	}
	return v
}

// withLeft tells of the VMs that left their job that this is why they are
// stopped, and how to let go of them. It changes list.
func withLeft(list []jobHealth, st *api.VMJobState) {
	if st == nil {
		return
	}
	for i := range list {
		h := &list[i]
		j := slices.IndexFunc(st.Members, func(m api.VMMember) bool { return string(m.Group) == h.Job && m.State == inventory.Gone })
		if j < 0 || h.State != stNotRunning {
			continue
		}
		h.State = string(inventory.Gone)
		rest := slices.DeleteFunc(slices.Clone(h.Problems), func(p problem) bool { return p.Do == "tidemark job run "+h.Job })
		h.Problems = append([]problem{{
			cmp.Or(st.Members[j].Trouble, "its job does not mean the VM any more"),
			"what it has stays until you let go of it: tidemark delete job " + h.Job + " --yes",
		}}, rest...)
	}
}

// groups is health of all jobs that are a group, with what they belong to.
func (c *session) groups(ctx context.Context) ([]jobHealth, error) {
	groups, err := c.health(ctx, "")
	if err != nil {
		return nil, err
	}
	members, err := c.members(ctx, "")
	if err != nil {
		return nil, err
	}
	of := map[string]string{}
	for _, m := range members {
		of[m.Name] = m.Of
	}
	var out []jobHealth
	for _, g := range groups {
		out = append(out, jobHealth{health: g, Of: of[g.Job]})
	}
	return out, nil
}

// healthOfAll asks about all jobs. The jobs of VMs stand behind the job they
// belong to.
func (c *session) healthOfAll(ctx context.Context) ([]jobHealth, error) {
	groups, err := c.groups(ctx)
	if err != nil {
		return nil, err
	}
	var out []jobHealth
	byJob := map[string][]jobHealth{}
	for _, x := range groups {
		if x.Of == "" {
			out = append(out, x)
			continue
		}
		byJob[x.Of] = append(byJob[x.Of], x)
	}
	b, err := c.vmJobs(ctx)
	if err != nil {
		return nil, err
	}
	var jobs []spec.VMJob
	if err := collect(ctx, b, "", func(j spec.VMJob) { jobs = append(jobs, j) }); err != nil {
		return nil, err
	}
	if len(jobs) > 0 {
		states, err := c.vmJobStates(ctx, "")
		for _, j := range jobs {
			list := byJob[j.Name]
			delete(byJob, j.Name)
			withLeft(list, states[j.Name])
			h := judgeVMs(vmFacts{job: j, state: states[j.Name], err: err, members: list})
			out = append(out, withoutOwn(h, list))
			out = append(out, list...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byJob)) { // whose job on VMs is gone
		out = append(out, byJob[name]...)
	}
	return out, nil
}

// withoutOwn adds to a job's problems those of its VMs that their own jobs,
// which stand below it, do not tell.
func withoutOwn(h jobHealth, own []jobHealth) jobHealth {
	for _, v := range h.VMs {
		i := slices.IndexFunc(own, func(x jobHealth) bool { return x.Job == v.Group })
		for _, p := range v.Problems {
			if i < 0 || !slices.Contains(own[i].Problems, p) {
				text := p.Text
				if !strings.HasPrefix(text, v.VM+": ") {
					text = v.VM + ": " + text
				}
				h.Problems = append(h.Problems, problem{text, p.Do})
			}
		}
	}
	return h
}

// vmJobStatus shows one job on VMs.
func (a *app) vmJobStatus(ctx context.Context, c *session, out format, j spec.VMJob) error {
	all, err := c.groups(ctx)
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(all, func(h jobHealth) bool { return h.Of != j.Name })
	states, serr := c.vmJobStates(ctx, j.Name)
	withLeft(own, states[j.Name])
	h := judgeVMs(vmFacts{job: j, state: states[j.Name], err: serr, members: own})
	if out != "table" {
		return out.print(a.out, h, nil, nil)
	}
	say := func(what, format string, args ...any) {
		fmt.Fprintf(a.out, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("job", "%s", j.Name)
	say("state", "%s", h.State)
	say("objective", "%s", h.Objective)
	say("capture", "%s, from %s to %s", j.Source.Capture, j.SourceSite, j.TargetSite)
	say("history", "%s", h.History)
	for _, p := range h.Problems {
		say("problem", "%s", p.Text)
		if p.Do != "" {
			say("  do", "%s", p.Do)
		}
	}
	fmt.Fprintln(a.out)
	err = format("table").print(a.out, nil, []string{"vm", "job", "vm state", "state", "rpo now", "replica"}, func(add func(...any)) {
		for _, v := range h.VMs {
			add(v.VM, v.Group, v.Member, v.State, v.RPO, v.Replica)
		}
	})
	for _, v := range h.VMs {
		for _, p := range v.Problems {
			text := p.Text
			if !strings.HasPrefix(text, v.VM+": ") {
				text = v.VM + ": " + text
			}
			fmt.Fprintf(a.out, "\n%s\n", text)
			if p.Do != "" {
				fmt.Fprintf(a.out, "  do: %s\n", p.Do)
			}
		}
	}
	return err
}
