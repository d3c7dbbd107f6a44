package spec

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"
)

// plan reads a SiteRecoveryJob.
func (c *checker) plan(doc []byte) *Plan {
	var raw struct {
		Metadata metadata       `json:"metadata"`
		Spec     map[string]any `json:"spec"`
	}
	_ = json.Unmarshal(doc, &raw) // a field of the wrong type was refused by the schema
	c.readable("/spec", raw.Spec)
	actions, _ := raw.Spec["actions"].([]any)
	for _, a := range actions {
		if a, ok := a.(map[string]any); ok && a["critical"] == nil {
			a["critical"] = true
		}
	}
	p := &Plan{}
	if data, err := json.Marshal(raw.Spec); err == nil {
		_ = json.Unmarshal(data, p) // as above
	}
	p.Name = raw.Metadata.Name
	names := map[string]int{}
	for i, a := range p.Actions {
		at := "/spec/actions/" + itoa(i)
		if first, twice := names[a.Name]; twice && a.Name != "" {
			c.bad(at+"/name", "unique", "%q is already the name of action %d", a.Name, first)
		}
		names[a.Name] = i
	}
	for i := range p.Actions {
		c.action("/spec/actions/"+itoa(i), &p.Actions[i])
	}
	c.triggers(p)
	p.order()
	for i, a := range p.Actions {
		at := "/spec/actions/" + itoa(i) + "/after"
		for k, n := range a.After {
			if _, known := names[n]; !known {
				c.bad(at+"/"+itoa(k), "reference", "there is no action %q", n)
			}
		}
	}
	if ring := p.cycle(); ring != nil && len(names) == len(p.Actions) {
		i := slices.IndexFunc(p.Actions, func(a Action) bool { return a.Name == ring[0] })
		c.bad("/spec/actions/"+itoa(i)+"/after", "cycle", "the actions wait for each other and none could begin: %s", ring[0]+" waits for "+strings.Join(append(ring[1:], ring[0]), ", which waits for "))
	}
	return p
}

// readable takes what cannot be read as its type out of a section, with a problem,
// so that the rest can be read.
func (c *checker) readable(at string, v any) {
	switch v := v.(type) {
	case []any:
		for i, x := range v {
			c.readable(at+"/"+itoa(i), x)
		}
	case map[string]any:
		for key, x := range v {
			text, is := x.(string)
			switch {
			case is && slices.Contains(durations, key):
				before := len(c.problems)
				if c.duration(at+"/"+key, text, 0); len(c.problems) > before {
					delete(v, key)
				}
			case is && key == "before":
				if _, err := time.Parse(time.RFC3339, text); err != nil {
					delete(v, key) // the schema has refused it
				}
			default:
				c.readable(at+"/"+key, x)
			}
		}
	}
}

// order fills in what the actions wait for. An action that does not say it waits
// for the one before it; actions of one group wait for what its first one waits for.
func (p *Plan) order() {
	var before, group []string // what the next action waits for; the group so far
	named := ""
	for i := range p.Actions {
		a := &p.Actions[i]
		if i > 0 && (a.Group == "" || a.Group != named) {
			before, group = group, nil
		}
		named = a.Group
		group = append(group, a.Name)
		if a.After == nil {
			a.After = append([]string{}, before...)
		}
	}
}

// cycle is a ring of actions, each of which waits for the next; nil if there is none.
func (p Plan) cycle() []string {
	after := map[string][]string{}
	for _, a := range p.Actions {
		after[a.Name] = a.After
	}
	done := map[string]bool{}
	var way []string
	var visit func(string) []string
	visit = func(name string) []string {
		if i := slices.Index(way, name); i >= 0 {
			return slices.Clone(way[i:])
		}
		if done[name] {
			return nil
		}
		way = append(way, name)
		for _, n := range after[name] {
			if ring := visit(n); ring != nil {
				return ring
			}
		}
		way = way[:len(way)-1]
		done[name] = true
		return nil
	}
	for _, a := range p.Actions {
		if ring := visit(a.Name); ring != nil {
			return ring
		}
	}
	return nil
}

// CheckKey is as that of a ReplicationJob.
func (p Plan) CheckKey(name string) error {
	return checkStored("read site recovery job", name, p.Name, p.Site)
}

// scriptName reports whether a text names a file and no path.
func scriptName(s string) bool {
	return s != "" && s != "." && s != ".." && path.Base(s) == s && !strings.ContainsAny(s, "/\\\x00")
}
