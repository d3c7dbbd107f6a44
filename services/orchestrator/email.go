package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// email sends a message about the run.
func (s *Service) email(ctx context.Context, run plan.Run, t plan.Task, e spec.Email) (string, error) {
	var b strings.Builder
	if e.Text != "" {
		fmt.Fprintf(&b, "%s\n\n", e.Text)
	}
	fmt.Fprintf(&b, "Site recovery job %s at site %s, run %s in %s, %s after %s.\n\n", run.Plan, run.Spec.Site, run.ID, run.Mode, run.Phase, spec.Duration(run.Took(s.deps.Clock.Now())))
	for _, rec := range run.Actions {
		fmt.Fprintf(&b, "%-10s %s", rec.Status, rec.Name)
		if rec.Text != "" && rec.Name != t.Action {
			fmt.Fprintf(&b, ": %s", rec.Text)
		}
		b.WriteString("\n")
	}
	m := Mail{ID: run.Ref(t.Action, t.Attempt) + "." + run.Plan + "." + string(run.Spec.Site), To: e.To,
		Subject: cmp.Or(e.Subject, fmt.Sprintf("%s: %s in %s", run.Plan, run.Phase, run.Mode)), Text: b.String()}
	return "sent to " + strings.Join(e.To, ", "), s.deps.Outside.Mail(ctx, m)
}
