package failoverrun

import (
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// Verdict is what a person said of a test when they ended it.
type Verdict struct {
	Verdict cdp.Verdict `json:"verdict"`
	Note    string      `json:"note,omitempty"`
	By      string      `json:"by,omitempty"` // who, as they say
	At      time.Time   `json:"at,omitzero"`  // set when the cleanup begins
	// Evidence is what the checks had found then. See cdp.PointTest.
	Evidence []string `json:"evidence,omitempty"`
}

// Bounds of the evidence, which is kept with the point.
const (
	mostEvidence = 40
	evidenceText = 200
)

// judge records the verdict, and what the checks have found: the VM is gone soon.
func (r *Run) judge(v Verdict, now time.Time) {
	v.At, v.Evidence = now, nil
	if r.VM != nil {
		for _, c := range r.VM.Checks[:min(len(r.VM.Checks), mostEvidence)] {
			text := c.Name + ": " + map[bool]string{true: "passed", false: "failed"}[c.OK]
			if c.Text != "" {
				text += ": " + c.Text
			}
			v.Evidence = append(v.Evidence, string([]rune(text)[:min(len([]rune(text)), evidenceText)]))
		}
	}
	if r.CheckFailed && len(v.Evidence) == 0 {
		v.Evidence = []string{"the checks could not be made"}
	}
	r.Verdict = &v
}

// attests reports whether there is a verdict to write, and a point to write it to.
func (r Run) attests() bool {
	return r.Verdict != nil && r.Resolved != nil && r.Resolved.Point != nil
}

// planned reports whether the run has a step.
func (r Run) planned(step recovery.Step) bool {
	return slices.ContainsFunc(r.Steps, func(st StepRecord) bool { return st.Step == step })
}

// PointTest is what the point keeps of its test. Only for the step attest.
func (r Run) PointTest() cdp.PointTest {
	v := r.Verdict
	return cdp.PointTest{Run: r.ID, At: v.At, Verdict: v.Verdict, Note: v.Note, By: v.By, Evidence: v.Evidence}
}

// VerdictText says in words what was said of the test; empty if nothing was.
func (r Run) VerdictText() string {
	if r.Verdict == nil {
		return ""
	}
	text := string(r.Verdict.Verdict)
	if r.Verdict.By != "" {
		text = fmt.Sprintf("%s, by %s", text, r.Verdict.By)
	}
	if r.Verdict.Note != "" {
		text += ": " + r.Verdict.Note
	}
	return text
}
