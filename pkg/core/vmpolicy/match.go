package vmpolicy

import (
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

// Match returns the VMs that selectors select, each once, sorted by path, and the
// problems of the selectors. The inventory does not list tags, so a tag that no
// VM has is a warning. A folder or tag never selects templates, VMs that Tidemark or
// another product made and manages, VMs in vApps, or the VM with the instance UUID own
// (the transporter); naming one of these is a problem, but for another product's VM,
// unless it belongs to vSphere itself.
func Match(inv inventory.Inventory, selectors []inventory.Selector, own string) ([]inventory.VM, []inventory.Problem) {
	var out []inventory.VM
	var problems []inventory.Problem
	seen := map[string]bool{}
	for i, s := range selectors {
		at := fmt.Sprintf("/spec/source/vms/%d", i)
		bad := func(rule, format string, args ...any) {
			problems = append(problems, inventory.Problem{Path: at, Rule: rule, Text: fmt.Sprintf(format, args...)})
		}
		if in := foldersOf(inv, s); len(in) > 1 {
			at += "/folder"
			bad("ambiguous", "%d folders are called %q: %s; give the path", len(in), s.Folder, strings.Join(in, ", "))
			continue
		}
		found, what := selected(inv, s)
		single := s.Folder == "" && s.Tag == ""
		later := func(field, name string) {
			problems = append(problems, inventory.Problem{Path: at + "/" + field, Rule: "reference", Text: fmt.Sprintf("the %s %q matches no VM yet", field, name), Warning: true})
		}
		switch {
		case len(found) == 0 && s.Folder != "" && !slices.ContainsFunc(inv.Folders, func(p inventory.Place) bool { return p.Named(s.Folder) }):
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
			if why == "" && !single && v.Manager != "" {
				continue
			}
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
			if !slices.ContainsFunc(inv.VMs, func(v inventory.VM) bool { return v.Name == name }) {
				problems = append(problems, inventory.Problem{Path: fmt.Sprintf("/spec/source/vms/%d/exclude/%d", i, k), Rule: "reference", Text: fmt.Sprintf("there is no VM %q", name)})
			}
		}
	}
	slices.SortFunc(out, func(a, b inventory.VM) int { return strings.Compare(a.Path, b.Path) })
	return out, problems
}

// foldersOf are the paths of the folders that a selector means.
func foldersOf(inv inventory.Inventory, s inventory.Selector) (out []string) {
	for _, f := range inv.Folders {
		switch {
		case s.Folder == "":
		case f.Path == s.Folder:
			return []string{f.Path}
		case f.Name == s.Folder:
			out = append(out, f.Path)
		}
	}
	return out
}

// selected are all VMs that a selector selects; what describes it in words.
func selected(inv inventory.Inventory, s inventory.Selector) (found []inventory.VM, what string) {
	is := func(inventory.VM) bool { return false }
	switch {
	case s.Name != "":
		what, is = fmt.Sprintf("the name %q", s.Name), func(v inventory.VM) bool { return v.Name == s.Name }
	case s.Path != "":
		what, is = fmt.Sprintf("the path %q", s.Path), func(v inventory.VM) bool { return v.Path == s.Path }
	case s.UUID != "":
		what, is = fmt.Sprintf("the UUID %q", s.UUID), func(v inventory.VM) bool { return strings.EqualFold(v.UUID, s.UUID) }
	case s.Folder != "":
		in := foldersOf(inv, s)
		is = func(v inventory.VM) bool {
			return slices.ContainsFunc(in, func(p string) bool { return strings.HasPrefix(v.Path, strings.TrimSuffix(p, "/")+"/") })
		}
	case s.Tag != "":
		is = func(v inventory.VM) bool { return slices.Contains(v.Tags, s.Tag) }
	}
	for _, v := range inv.VMs {
		if is(v) {
			found = append(found, v)
		}
	}
	return found, what
}

// agentManager is vSphere's own agent manager, which makes the vCLS VMs and others.
const agentManager = "com.vmware.vim.eam"

// unfit is why a VM can never be selected; empty if it can.
func unfit(v inventory.VM, own string) string {
	switch {
	case v.Template:
		return "is a template"
	case v.Manager == agentManager:
		return "is an agent that vSphere makes and deletes by itself"
	case v.VApp:
		return "is in a vApp, which is not replicated: move the VM out of it"
	case v.Mark(inventory.MarkTransporter) != "" || own != "" && v.UUID == own:
		return "is a transporter"
	case v.Ours():
		return "was made by Tidemark: it is a replica or a test of one"
	}
	return ""
}

// Elsewhere finds the VMs that are in another datacenter than the transporter that
// is to read their disks: the path of a disk means another disk there, or none.
func Elsewhere(inv inventory.Inventory, vms []inventory.VM, transporter inventory.VM) []inventory.Problem {
	if transporter.UUID == "" {
		return nil
	}
	var problems []inventory.Problem
	for _, v := range vms {
		if inv.DatacenterAt(v.Path) != inv.DatacenterAt(transporter.Path) {
			problems = append(problems, inventory.Problem{VM: v.Name, UUID: v.UUID, Path: "/spec/source/vms", Rule: "datacenter",
				Text: fmt.Sprintf("it is in another datacenter (%s) than the transporter %s: disks can be attached within a datacenter only", v.Path, transporter.Path)})
		}
	}
	return problems
}

func paths(in []inventory.VM) string {
	var out []string
	for _, v := range in {
		out = append(out, v.Path)
	}
	return strings.Join(out, ", ")
}
