package plan_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// The exact words that an operator gets about a bad plan. Input is the spec of a
// plan; the site has the jobs db and web, of which web has a replica VM, a stopped
// job old, and the script move-dns; the plan other changes the job shared.
func TestWhatAnOperatorIsToldOfABadPlan(t *testing.T) {
	facts := plan.Facts{
		Jobs: map[string]plan.JobFacts{
			"db": {Source: "prod", Running: true}, "web": {Source: "prod", Running: true, VM: true},
			"old": {Source: "prod"}, "shared": {Source: "prod", Running: true},
		},
		Scripts: map[string]bool{"move-dns": true},
		Points:  map[string]string{"at-friday": "there is no recovery point with the tag friday"},
		Others: []spec.Plan{{Name: "other", Actions: []spec.Action{
			{Name: "a", Failover: &spec.FailoverAction{Job: "shared"}},
		}}},
	}
	datadriven.RunTest(t, "testdata/check", func(t *testing.T, d *datadriven.TestData) string {
		text := document(d.Input)
		if d.Cmd == "triggers" {
			text = strings.Replace(document(d.Input), "  actions:", "  actions: [{name: a, wait: 1s}]\n  triggers:", 1)
		}
		objects, err := spec.Parse("plan.yaml", []byte(text))
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, f := range plan.Check(*objects[0].Plan, facts) {
			out = append(out, f.String())
		}
		if out == nil {
			return "nothing"
		}
		return strings.Join(out, "\n")
	})
}

// document makes a plan of its actions.
func document(actions string) string {
	return "apiVersion: tidemark.dev/v1\nkind: SiteRecoveryJob\nmetadata: {name: shop}\nspec:\n  site: dr\n  actions:\n  " + strings.ReplaceAll(actions, "\n", "\n  ") + "\n"
}

func parse(t testing.TB, actions string) spec.Plan {
	t.Helper()
	objects, err := spec.Parse("plan.yaml", []byte(document(actions)))
	if err != nil {
		t.Fatal(err)
	}
	return *objects[0].Plan
}
