package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// State says how far an operator can rely on a plan.
type State string

const (
	// NeedsVerification: the plan, or a job that it names, has changed since the last
	// check, or the last check is too old.
	NeedsVerification State = "needs verification"
	// NotFit: the last check found errors.
	NotFit State = "failed"
	// Verified: the last check found no errors.
	Verified State = "verified"
)

// A plan is checked again every CheckEvery. A check is too old after CheckHolds:
// nobody has been able to repeat it.
const (
	CheckEvery = 15 * time.Minute
	CheckHolds = time.Hour
)

// Verification is the last check of a plan.
type Verification struct {
	Plan string `json:"plan"`
	// Hash is that of the plan and of the jobs that it names; see Hash.
	Hash string `json:"hash"`
	// Seen is the hash of everything else that the check looked at.
	Seen      string    `json:"seen"`
	CheckedAt time.Time `json:"checkedAt"`
	// SeenSince is when a check looked at this for the first time.
	SeenSince time.Time         `json:"seenSince"`
	Findings  []api.PlanFinding `json:"findings"`
	// Trouble says why the plan could not be checked again; empty: it could.
	Trouble string `json:"trouble,omitempty"`
}

// Verify checks a plan. A finding that the last check had keeps the time since when it
// is known; last is the zero value for a plan that was never checked.
func Verify(last Verification, p spec.Plan, facts Facts, hash string, now time.Time) Verification {
	v := Verification{Plan: p.Name, Hash: hash, Seen: digest(facts), CheckedAt: now, SeenSince: now, Findings: Check(p, facts)}
	if v.Hash == last.Hash && v.Seen == last.Seen {
		v.SeenSince = last.SeenSince
	}
	for i, f := range v.Findings {
		k := slices.IndexFunc(last.Findings, func(old api.PlanFinding) bool { return f.Same(old) })
		if v.Findings[i].Since = now; k >= 0 {
			v.Findings[i].Since = last.Findings[k].Since
		}
	}
	return v
}

// State is the state of the plan whose hash is now hash.
func (v Verification) State(hash string, now time.Time) State {
	switch {
	case v.Hash != hash || now.Sub(v.CheckedAt) > CheckHolds:
		return NeedsVerification
	case v.Errors() > 0:
		return NotFit
	}
	return Verified
}

// Errors is how many of the findings are errors.
func (v Verification) Errors() (n int) {
	for _, f := range v.Findings {
		if f.Error {
			n++
		}
	}
	return n
}

// Due reports whether the plan whose hash is now hash should be checked again.
func (v Verification) Due(hash string, now time.Time) bool {
	age := now.Sub(v.CheckedAt)
	return v.Hash != hash || age >= CheckEvery || age < 0
}

// Hash is that of a plan and of the jobs that it names. Whoever has the specs can
// tell whether a check was of them.
func Hash(p spec.Plan, jobs []spec.ReplicationJob, vmJobs []spec.VMJob) string {
	named := Jobs(p)
	jobs = slices.DeleteFunc(slices.Clone(jobs), func(j spec.ReplicationJob) bool { return !slices.Contains(named, j.Name) })
	vmJobs = slices.DeleteFunc(slices.Clone(vmJobs), func(v spec.VMJob) bool {
		return !slices.ContainsFunc(jobs, func(j spec.ReplicationJob) bool { return j.Of == v.Name })
	})
	slices.SortFunc(jobs, func(a, b spec.ReplicationJob) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(vmJobs, func(a, b spec.VMJob) int { return cmp.Compare(a.Name, b.Name) })
	return digest([]any{p, jobs, vmJobs})
}

// Jobs are the jobs that a plan's actions and triggers name, sorted.
func Jobs(p spec.Plan) (out []string) {
	for _, a := range p.Actions {
		if job := a.Job(); job != "" {
			out = append(out, job)
		}
	}
	for _, t := range p.Triggers {
		if t.RPO != nil {
			out = append(out, t.RPO.Job)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// digest is a hash of a value's JSON, in which the keys of maps are sorted.
func digest(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "" // no type here fails
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
