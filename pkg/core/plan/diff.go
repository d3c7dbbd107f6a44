package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/spec"
)

// Change is one difference between two versions of a plan.
type Change struct {
	// What is plan, action or trigger; Name is empty for the plan itself.
	What string `json:"what"`
	Name string `json:"name,omitempty"`
	// Field is what differs, as failover.point. Empty: the action or trigger is only in
	// one of the two.
	Field string `json:"field,omitempty"`
	// Was and Is are its values as JSON; empty where there is none.
	Was string `json:"was,omitempty"`
	Is  string `json:"is,omitempty"`
}

// String is the change in one line: + is new, - is gone, ~ has another value.
func (c Change) String() string {
	name := strings.TrimSpace(c.What + " " + c.Name)
	switch {
	case c.Field == "" && c.Was == "":
		return "+ " + name + ": " + c.Is
	case c.Field == "":
		return "- " + name + ": " + c.Was
	case c.Was == "":
		return fmt.Sprintf("~ %s: %s: %s, was not set", name, c.Field, c.Is)
	case c.Is == "":
		return fmt.Sprintf("~ %s: %s: no longer set, was %s", name, c.Field, c.Was)
	}
	return fmt.Sprintf("~ %s: %s: %s, was %s", name, c.Field, c.Is, c.Was)
}

// Diff is what would change if the plan was were replaced by the plan is. Defaults are
// filled in in both, so what a file leaves out is no difference.
func Diff(was, is spec.Plan) (out []Change) {
	type part struct {
		what, name, label string
		fields            map[string]string
	}
	parts := func(p spec.Plan) (all []part) {
		for _, a := range p.Actions {
			all = append(all, part{"action", a.Name, label(a), fields(a)})
		}
		for _, t := range p.Triggers {
			all = append(all, part{"trigger", t.Name, string(t.Mode), fields(t)})
		}
		order := []string{}
		for _, a := range p.Actions {
			order = append(order, a.Name)
		}
		p.Actions, p.Triggers = nil, nil
		top := fields(p)
		top["order of actions"] = strings.Join(order, ", ")
		return append(all, part{"plan", "", "", top})
	}
	old, now := parts(was), parts(is)
	for _, a := range old {
		if !slices.ContainsFunc(now, func(b part) bool { return b.what == a.what && b.name == a.name }) {
			out = append(out, Change{What: a.what, Name: a.name, Was: a.label})
		}
	}
	for _, b := range now {
		i := slices.IndexFunc(old, func(a part) bool { return b.what == a.what && b.name == a.name })
		if i < 0 {
			out = append(out, Change{What: b.what, Name: b.name, Is: b.label})
			continue
		}
		a := old[i]
		keys := maps.Clone(a.fields)
		maps.Copy(keys, b.fields)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if a.fields[k] != b.fields[k] {
				out = append(out, Change{What: b.what, Name: b.name, Field: k, Was: a.fields[k], Is: b.fields[k]})
			}
		}
	}
	return out
}

// fields are the values in something's JSON by their paths, as failover.point.
func fields(v any) map[string]string {
	out := map[string]string{}
	data, err := json.Marshal(v)
	var x any
	if err == nil {
		err = json.Unmarshal(data, &x)
	}
	if err != nil {
		return out // no type here fails
	}
	var walk func(at string, x any)
	walk = func(at string, x any) {
		if m, is := x.(map[string]any); is {
			for k, sub := range m {
				walk(strings.TrimPrefix(at+"."+k, "."), sub)
			}
			return
		}
		if text, err := json.Marshal(x); err == nil && x != nil {
			out[at] = string(text)
		}
	}
	walk("", x)
	return out
}
