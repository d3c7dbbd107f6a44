package plan

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/spec"
)

// levels are the actions by the longest chain of actions that each waits for: those of
// a level can be in progress at the same time. No action waits for one of its own level
// or of a later one, for Parse refuses a cycle.
func levels(p spec.Plan) (out [][]spec.Action) {
	depth := map[string]int{}
	var of func(spec.Action) int
	of = func(a spec.Action) int {
		if d, known := depth[a.Name]; known {
			return d
		}
		d := 0
		for _, name := range a.After {
			i := slices.IndexFunc(p.Actions, func(b spec.Action) bool { return b.Name == name })
			d = max(d, of(p.Actions[i])+1)
		}
		depth[a.Name] = d
		return d
	}
	for _, a := range p.Actions {
		d := of(a)
		for len(out) <= d {
			out = append(out, nil)
		}
		out[d] = append(out[d], a)
	}
	return out
}

// label says what an action does, in a few words.
func label(a spec.Action) string {
	text := strings.TrimSpace(a.Verb() + " " + a.Job())
	switch {
	case a.Power != nil:
		text += " " + string(a.Power.Do) + " " + a.Power.VM
	case a.Guest != nil:
		text += " " + strings.TrimSpace(a.Guest.VM+" "+a.Guest.File)
	case a.Return() != nil:
		text += " " + a.Return().Job
	case a.RunPlan != nil:
		text += " " + a.RunPlan.Plan
	}
	for _, x := range []struct {
		is   bool
		text string
	}{{a.Mode != spec.InBoth, "in " + string(a.Mode) + " only"}, {!a.Critical, "not critical"}, {a.Background, "in the background"}} {
		if x.is {
			text += ", " + x.text
		}
	}
	return text
}

// Graph draws a plan as text: a line for each action, by the step in which it can begin
// at the earliest, with what it waits for.
func Graph(p spec.Plan) string {
	var b strings.Builder
	wide := 0
	for _, a := range p.Actions {
		wide = max(wide, len(a.Name))
	}
	for i, level := range levels(p) {
		for k, a := range level {
			step, waits := "", ""
			if k == 0 {
				step = fmt.Sprint(i + 1)
			}
			if len(a.After) > 0 {
				waits = "  <- " + strings.Join(a.After, ", ")
			}
			fmt.Fprintf(&b, "%3s  %-*s  (%s)%s\n", step, wide, a.Name, label(a), waits)
		}
	}
	return b.String()
}

// The measures of a drawing, in pixels.
const (
	boxWide, boxHigh = 280, 44
	gapWide, gapHigh = 24, 40
	margin           = 16
)

// SVG draws a plan as a picture: its steps from top to bottom, with a line from each
// action to those that wait for it.
func SVG(p spec.Plan) string {
	type spot struct{ x, y int }
	at := map[string]spot{}
	all := levels(p)
	widest := slices.MaxFunc(all, func(a, b []spec.Action) int { return cmp.Compare(len(a), len(b)) })
	wide := 2*margin + len(widest)*(boxWide+gapWide) - gapWide
	for i, level := range all {
		left := (wide - len(level)*(boxWide+gapWide) + gapWide) / 2
		for k, a := range level {
			at[a.Name] = spot{left + k*(boxWide+gapWide), margin + i*(boxHigh+gapHigh)}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", wide, 2*margin+len(all)*(boxHigh+gapHigh)-gapHigh)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(p.Name))
	for _, a := range p.Actions {
		for _, name := range a.After {
			from, to := at[name], at[a.Name]
			fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#888"/>`+"\n", from.x+boxWide/2, from.y+boxHigh, to.x+boxWide/2, to.y)
		}
	}
	for _, a := range p.Actions {
		s, dash := at[a.Name], ""
		if !a.Critical {
			dash = ` stroke-dasharray="4"`
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" rx="4" fill="#fff" stroke="#333"%s/>`+"\n", s.x, s.y, boxWide, boxHigh, dash)
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", s.x+10, s.y+18, html.EscapeString(a.Name))
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", s.x+10, s.y+34, html.EscapeString(label(a)))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
