package inventory

import (
	"fmt"
	"slices"
	"strings"
)

// Match gives the VMs of an inventory that selectors mean, by path, each once,
// and what is wrong with the selectors. Which tags exist it does not know: one
// that no VM has is a warning. Templates, what Tidemark made itself
// and the VM with UUID own (the transporter) are never meant by a folder or a
// tag, and are a problem when they are named.
func Match(inv Inventory, selectors []Selector, own string) ([]VM, []Problem) {
	var out []VM
	var problems []Problem
	seen := map[string]bool{}
	for i, s := range selectors {
		at := fmt.Sprintf("/spec/source/vms/%d", i)
		bad := func(rule, format string, args ...any) {
			problems = append(problems, Problem{Path: at, Rule: rule, Text: fmt.Sprintf(format, args...)})
		}
		found, what := s.find(inv)
		single := s.Folder == "" && s.Tag == ""
		later := func(field, name string) {
			problems = append(problems, Problem{Path: at + "/" + field, Rule: "reference", Text: fmt.Sprintf("the %s %q matches no VM yet", field, name), Warning: true})
		}
		switch {
		case len(found) == 0 && s.Folder != "" && !slices.ContainsFunc(inv.Folders, func(p Place) bool { return p.is(s.Folder) }):
			at += "/folder"
			bad("folder", "there is no folder %q", s.Folder)
		case len(found) == 0 && s.Folder != "":
			later("folder", s.Folder)
		case len(found) == 0 && s.Tag != "":
			later("tag", s.Tag)
		case len(found) == 0 && single:
			bad("reference", "there is no VM with %s", what)
		case len(found) > 1 && single:
			bad("ambiguous", "%d VMs have %s: %s; give the path or the UUID", len(found), what, paths(found))
			continue
		}
		for _, v := range found {
			why := unfit(v, own)
			if why != "" && single {
				bad("unsupported", "%s %s", v.Name, why)
			}
			if why != "" || seen[v.UUID] || !single && slices.Contains(s.Exclude, v.Name) {
				continue
			}
			seen[v.UUID] = true
			out = append(out, v)
		}
		for k, name := range s.Exclude {
			if !slices.ContainsFunc(inv.VMs, func(v VM) bool { return v.Name == name }) {
				problems = append(problems, Problem{Path: fmt.Sprintf("/spec/source/vms/%d/exclude/%d", i, k), Rule: "reference", Text: fmt.Sprintf("there is no VM %q", name)})
			}
		}
	}
	slices.SortFunc(out, func(a, b VM) int { return strings.Compare(a.Path, b.Path) })
	return out, problems
}

// find gives all that a selector means, and how it says it.
func (s Selector) find(inv Inventory) (found []VM, what string) {
	is := func(VM) bool { return false }
	switch {
	case s.Name != "":
		what, is = fmt.Sprintf("the name %q", s.Name), func(v VM) bool { return v.Name == s.Name }
	case s.Path != "":
		what, is = fmt.Sprintf("the path %q", s.Path), func(v VM) bool { return v.Path == s.Path }
	case s.UUID != "":
		what, is = fmt.Sprintf("the UUID %q", s.UUID), func(v VM) bool { return strings.EqualFold(v.UUID, s.UUID) }
	case s.Folder != "":
		var in []string
		for _, f := range inv.Folders {
			if f.is(s.Folder) {
				in = append(in, strings.TrimSuffix(f.Path, "/")+"/")
			}
		}
		is = func(v VM) bool {
			return slices.ContainsFunc(in, func(p string) bool { return strings.HasPrefix(v.Path, p) })
		}
	case s.Tag != "":
		is = func(v VM) bool { return slices.Contains(v.Tags, s.Tag) }
	}
	for _, v := range inv.VMs {
		if is(v) {
			found = append(found, v)
		}
	}
	return found, what
}

// unfit is why a VM can never be meant.
func unfit(v VM, own string) string {
	switch {
	case v.Template:
		return "is a template"
	case v.Mark(MarkTransporter) != "" || own != "" && v.UUID == own:
		return "is a transporter"
	case v.Ours():
		return "was made by Tidemark: it is a replica or a test of one"
	}
	return ""
}

// is says whether a place is meant by a name or an inventory path.
func (p Place) is(name string) bool { return p.Path == name || p.Name == name }

func paths(in []VM) string {
	var out []string
	for _, v := range in {
		out = append(out, v.Path)
	}
	return strings.Join(out, ", ")
}
