package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// Job is the verdict on a job on VMs, or on a group by itself.
type Job struct {
	Group
	// VMs are those of a job on VMs, and not nil for one.
	VMs []VM `json:"vms,omitempty"`
}

// VM is the verdict on one VM of a job.
type VM struct {
	VM      string `json:"vm"`
	Group   string `json:"group,omitempty"`
	Replica string `json:"replica,omitempty"`
	// Member is what the vcenter service says of it; empty where it says nothing.
	Member inventory.MemberState `json:"member,omitempty"`
	State  State                 `json:"state"`
	Level  Level                 `json:"level"`
	RPO    string                `json:"rpo"`
	// RPOSeconds is the RPO as a number, nil if it is not known.
	RPOSeconds *float64  `json:"rpoSeconds,omitempty"`
	Copy       *Copy     `json:"copy,omitempty"` // the first copy or resync in progress
	Problems   []Problem `json:"problems"`
}

// left reports whether the job does not count on the VM any more.
func (v VM) left() bool { return v.Member == inventory.Gone || v.Member == inventory.FailedOver }

// VMFacts are what JudgeVMs looks at.
type VMFacts struct {
	Job spec.VMJob
	// State is what the vcenter service says, nil: nothing; Err why it does not
	// answer.
	State *api.VMJobState
	Err   error
	// Groups are the verdicts on the VMs' groups.
	Groups []Group
}

// JudgeVMs says how well the VMs of a job are protected.
func JudgeVMs(f VMFacts) Job {
	j := Job{VMs: []VM{}}
	j.Job, j.Direction, j.Objective, j.RPO, j.State, j.History = f.Job.Name, f.Job.Direction(), f.Job.RPO.String(), noData, Unknown, f.Job.Journal.History.String()
	j.ObjectiveSeconds, j.Problems = f.Job.RPO.Std().Seconds(), []Problem{}
	if f.Err != nil {
		j.problem("is the service vcenter running at the target? what is replicated can be failed over without it", "the vcenter service does not answer: %v", f.Err)
	}
	if f.Err == nil && f.State == nil {
		j.problem("wait a moment", "the vcenter service has not picked up the job yet")
	}
	own := map[string]*Group{}
	for i, g := range f.Groups {
		own[g.Job] = &f.Groups[i]
	}
	if f.State != nil {
		if f.State.Trouble != "" {
			j.problem("", "%s", f.State.Trouble)
		}
		for _, m := range f.State.Members {
			j.VMs = append(j.VMs, judgeVM(m, own[string(m.Group)]))
			delete(own, string(m.Group))
		}
	}
	for _, g := range f.Groups {
		if own[g.Job] != nil { // the vcenter service does not report it
			j.VMs = append(j.VMs, VM{VM: g.Job, Group: g.Job, State: g.State, Level: g.Level, RPO: g.RPO, RPOSeconds: g.RPOSeconds, Copy: g.Copy, Problems: g.Problems})
		}
	}
	j.sum(f)
	return j
}

// sum makes one state of those of the VMs.
func (j *Job) sum(f VMFacts) {
	protected, left := 0, 0
	j.sumRPO()
	for _, v := range j.VMs {
		if !v.left() {
			j.Level = max(j.Level, v.Level)
		}
		switch {
		case v.State == Protected:
			protected++
		case v.left():
			left++
		}
	}
	switch {
	case f.State != nil && !f.State.Running:
		j.State = Stopped
		j.problem("tidemark job run "+f.Job.Name, "the job is not running: no recovery points are made")
	case len(j.VMs) == 0 && f.State != nil:
		j.State = NoData
		j.problem("", "the job selects no VM now")
	case len(j.VMs) > 0 && protected == len(j.VMs)-left && protected > 0 && f.State != nil:
		j.State = Protected
	case protected > 0:
		j.State = State(fmt.Sprintf("%d of %d protected", protected, len(j.VMs)-left))
	case len(j.VMs) > 0:
		j.State = worst(j.VMs)
	}
	if protected == 0 || protected < len(j.VMs)-left { // the VMs' own levels say how bad it is, if there are any
		j.Level = max(j.Level, Warning)
	}
	if len(j.VMs) == left || j.State == Stopped || j.State == Unknown {
		j.Level = NotProtected
	}
}

// sumRPO gives a job the RPO of its worst VM, and says of how many it is known.
func (j *Job) sumRPO() {
	known, counted := 0, 0
	for _, v := range j.VMs {
		if v.left() {
			continue
		}
		counted++
		if v.RPOSeconds == nil {
			continue
		}
		known++
		if j.RPOSeconds == nil || *v.RPOSeconds > *j.RPOSeconds {
			j.RPO, j.RPOSeconds = v.RPO, v.RPOSeconds
		}
	}
	if known > 0 && known < counted {
		j.RPO += fmt.Sprintf(" (%d of %d VMs)", known, counted)
	}
}

// worst is the most severe state of VMs. A VM that has left its job counts only
// if there is no other.
func worst(all []VM) State {
	rank := func(v VM) int {
		if v.left() {
			return len(severity) + 1
		}
		if i := slices.Index(severity, v.State); i >= 0 {
			return i
		}
		return len(severity)
	}
	return slices.MinFunc(all, func(a, b VM) int { return cmp.Compare(rank(a), rank(b)) }).State
}

// judgeVM is the verdict on one VM: that on its group, unless it has none yet or
// the vcenter service knows of worse.
func judgeVM(m api.VMMember, own *Group) VM {
	v := VM{VM: m.VM, Group: string(m.Group), Replica: m.Replica, Member: m.State, State: State(m.State), RPO: noData, Problems: []Problem{}}
	if own != nil {
		v.RPO, v.RPOSeconds, v.Copy, v.Level = own.RPO, own.RPOSeconds, own.Copy, own.Level
		v.Problems = append(v.Problems, own.Problems...)
		if m.State == inventory.Ready || m.State == inventory.Gone {
			v.State = own.State
		}
	}
	v.Level = max(v.Level, v.State.level())
	if len(m.Problems) > 0 || m.Unseen != "" || m.Trouble != "" {
		v.Level = max(v.Level, Warning)
	}
	first := func(text string) { v.Problems = append([]Problem{{Text: text}}, v.Problems...) }
	if m.Unseen != "" && !slices.ContainsFunc(v.Problems, func(p Problem) bool { return strings.Contains(p.Text, m.Unseen) }) {
		first("its writes are not reported: " + m.Unseen)
		if v.State == Protected {
			v.State = NotCaptured
			v.Level = NotProtected
		}
	}
	if m.Trouble != "" && !slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.Text == m.Trouble }) {
		first(m.Trouble)
	}
	for _, p := range m.Problems {
		if p.Text != m.Trouble {
			v.Problems = append(v.Problems, Problem{Text: p.String()})
		}
	}
	return v
}
