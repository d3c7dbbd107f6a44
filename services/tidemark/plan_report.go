package main

import (
	"context"
	"html/template"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/core/plan"
)

func (a *app) cmdPlanReport() *cobra.Command {
	var run string
	var html bool
	var out format
	c := &cobra.Command{
		Use: "report PLAN", Short: "Report on a run: who, what, when, and the time against the objective", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(planNames),
		Long:    long("Report on the last run of a plan, or on another one that is kept. With --html it is a\npage that prints well; with -o json it is everything that is stored of the run."),
		Example: "  tidemark plan report shop-dr --html > report.html\n  tidemark plan report shop-dr --run t-7f3kq2 -o json",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				r, err := keptRun(ctx, cl, args[0], run)
				switch {
				case err != nil:
					return err
				case html:
					return reportHTML(a.out, r, a.clock().Now())
				}
				return out.facts(a.out, r, r.ID, func() error { return a.describeRun(r, out) })
			})
		},
	}
	c.Flags().StringVar(&run, "run", "", "which run, as listed by: tidemark plan history PLAN (default: the last one)")
	c.Flags().BoolVar(&html, "html", false, "write an HTML page")
	out.register(c)
	return c
}

// keptRun is a run of a plan; an empty id is the last one.
func keptRun(ctx context.Context, c *client.Client, name, id string) (plan.Run, error) {
	if id == "" {
		return lastRunOf(ctx, c, name)
	}
	runs, err := c.PlanHistory(ctx, name)
	for _, r := range runs {
		if r.ID == id {
			return r, nil
		}
	}
	if err == nil {
		err = cdp.Errorf(cdp.NotFound, "report on run", id, "the plan %s has no such run", name).WithHint("list them: tidemark plan history " + name)
	}
	return plan.Run{}, err
}

var reportPage = template.Must(template.New("report").Funcs(template.FuncMap{"clock": clockText, "took": actionTook}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Run.Plan}}: {{.Run.Mode}} run {{.Run.ID}}</title>
<style>
body { font: 11pt/1.4 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #111 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3em .6em; border-bottom: 1px solid #bbb }
tr { break-inside: avoid }
thead { display: table-header-group }
h2 { break-after: avoid }
@page { margin: 15mm }
@media print { body { max-width: none; margin: 0; padding: 0 } }
</style></head><body>
<h1>{{.Run.Plan}}: {{.Run.Phase}}</h1>
<table>
<tr><th>Run</th><td>{{.Run.ID}}, {{.Run.Mode}}, at site {{.Run.Spec.Site}}</td></tr>
<tr><th>Asked by</th><td>{{.Run.By}}</td></tr>
<tr><th>Began</th><td>{{clock .Run.StartedAt}}</td></tr>
{{if not .Run.EndedAt.IsZero}}<tr><th>Ended</th><td>{{clock .Run.EndedAt}}</td></tr>
{{end}}<tr><th>Took</th><td>{{.Took}}</td></tr>
<tr><th>Revision of the plan</th><td>{{.Run.Revision}}</td></tr>
</table>
<h2>Actions</h2>
<table>
<thead><tr><th>Action</th><th>What</th><th>State</th><th>Began</th><th>Took</th><th>Result</th></tr></thead>
<tbody>
{{range .Run.Actions}}<tr><td>{{.Name}}</td><td>{{.Verb}}</td><td>{{.Status}}</td><td>{{if not .BegunAt.IsZero}}{{clock .BegunAt}}{{end}}</td><td>{{took .}}</td><td>{{.Text}}</td></tr>
{{with .Clean}}<tr><td></td><td>clean-up</td><td>{{.Status}}</td><td></td><td></td><td>{{.Text}}</td></tr>
{{end}}{{end}}</tbody></table>
</body></html>
`))

// reportHTML writes the report of a run as a page.
func reportHTML(w io.Writer, r plan.Run, now time.Time) error {
	return reportPage.Execute(w, struct {
		Run  plan.Run
		Took string
	}{r, tookText(r, now)})
}
