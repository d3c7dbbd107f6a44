package spec

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// Parse reads a file of any number of documents. name is the file's, for the
// error. Either all documents are good, or the error, of kind Invalid, has every
// problem: see Problems.
func Parse(name string, data []byte) ([]Object, error) {
	var objects []Object
	var problems []Problem
	schemas := event.NewSchemas()
	seen := map[string]int{}
	docs := split(data)
	for _, d := range docs {
		o, bad, err := parse(schemas, d)
		if err != nil {
			return nil, cdp.Wrap(err, "read spec", name)
		}
		problems = append(problems, bad...)
		if len(bad) > 0 {
			continue
		}
		key := o.Kind() + " " + o.Name()
		if line, twice := seen[key]; twice {
			problems = append(problems, Problem{Line: d.lineOf("/metadata/name"), Path: "/metadata/name", Rule: "unique", Text: key + " is already described at line " + itoa(line)})
		}
		seen[key] = d.line
		objects = append(objects, o)
	}
	if len(docs) == 0 {
		problems = []Problem{{Rule: "document", Text: "the file is empty"}}
	}
	if len(problems) > 0 {
		return nil, refuse(name, problems)
	}
	return objects, nil
}

// parse reads one document. The error is about us, not about the document.
func parse(schemas *event.Schemas, d document) (Object, []Problem, error) {
	doc, err := yaml.YAMLToJSONStrict([]byte(d.text))
	if err != nil {
		return Object{}, []Problem{d.yamlProblem(err)}, nil
	}
	var head struct {
		APIVersion any `json:"apiVersion"`
		Kind       any `json:"kind"`
	}
	if err := json.Unmarshal(doc, &head); err != nil {
		return Object{}, []Problem{{Line: d.line, Path: "/", Rule: "type", Text: "must be a document with apiVersion, kind, metadata and spec"}}, nil
	}
	kinds := []string{KindSite, KindJob, KindPlan}
	kind, _ := head.Kind.(string)
	if !slices.Contains(kinds, kind) {
		return Object{}, []Problem{{Line: d.lineOf("/kind"), Path: "/kind", Rule: "enum", Text: "must be one of " + strings.Join(kinds, ", ")}}, nil
	}
	found, err := schemas.Problems("spec/v1/"+strings.ToLower(kind)+".json", doc)
	if err != nil {
		return Object{}, nil, err
	}
	c := &checker{}
	for _, p := range found {
		if p.Rule == "enum" && slices.ContainsFunc(c.problems, func(x Problem) bool { return x.Path == p.Path && x.Rule == p.Rule }) {
			continue // the schema of disks or of VMs allows fewer values than that of jobs: the first problem says it
		}
		c.problems = append(c.problems, Problem{Path: p.Path, Rule: p.Rule, Text: p.Text})
	}
	o := Object{Line: d.line}
	switch kind {
	case KindSite:
		o.Site = c.site(doc)
	case KindPlan:
		o.Plan = c.plan(doc)
	default:
		c.job(doc, &o)
	}
	for i := range c.problems {
		c.problems[i].Line = d.lineOf(c.lineHint(c.problems[i]))
		c.problems[i].Text = plain(c.problems[i])
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, cmp.Compare(a.Path, b.Path)) })
	return o, c.problems, nil
}

// lineHint is the path to look for: of an unknown field, the field itself.
func (c *checker) lineHint(p Problem) string {
	if p.Rule == "additionalProperties" {
		if parts := strings.Split(p.Text, "'"); len(parts) > 2 {
			return strings.TrimSuffix(p.Path, "/") + "/" + parts[1]
		}
	}
	return p.Path
}
