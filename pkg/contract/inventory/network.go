package inventory

import (
	"fmt"
	"slices"
)

// Wiring is where a replica's NICs are connected, by the source's device key; a
// NIC that is in Test with "" is disconnected in a test.
type Wiring struct {
	Production, Test map[int32]Ref
}

// Wire maps the NICs of a VM at a source to networks of a target. Every NIC
// must be mapped in production.
func Wire(v VM, maps []NetworkMap, target Inventory) (Wiring, []Problem) {
	w := Wiring{map[int32]Ref{}, map[int32]Ref{}}
	var problems []Problem
	for _, n := range v.Hardware.NICs {
		i := slices.IndexFunc(maps, func(m NetworkMap) bool { return m.From == n.NetName || m.From == string(n.Network) })
		if i < 0 {
			problems = append(problems, Problem{VM: v.Name, Path: "/spec/target/networks", Rule: "unmapped",
				Text: fmt.Sprintf("%s is on the network %q, which is not mapped", n.Label, n.NetName)})
			continue
		}
		if ref, bad := target.network(maps[i].To); bad == "" {
			w.Production[n.Key] = ref
		}
		if maps[i].Test == "" {
			w.Test[n.Key] = ""
		} else if ref, bad := target.network(maps[i].Test); bad == "" {
			w.Test[n.Key] = ref
		}
	}
	return w, problems
}

// checkNetworks finds maps that lead nowhere.
func checkNetworks(maps []NetworkMap, target Inventory) []Problem {
	var problems []Problem
	from := map[string]int{}
	for i, m := range maps {
		at := fmt.Sprintf("/spec/target/networks/%d", i)
		if first, twice := from[m.From]; twice {
			problems = append(problems, Problem{Path: at + "/from", Rule: "unique", Text: fmt.Sprintf("%q is mapped by networks/%d already", m.From, first)})
		} else {
			from[m.From] = i
		}
		if _, bad := target.network(m.To); bad != "" {
			problems = append(problems, Problem{Path: at + "/to", Rule: "reference", Text: bad})
		}
		if m.Test == "" {
			continue
		}
		if _, bad := target.network(m.Test); bad != "" {
			problems = append(problems, Problem{Path: at + "/test", Rule: "reference", Text: bad})
		}
	}
	return problems
}

// network finds one by name or path; bad says why not.
func (inv Inventory) network(name string) (ref Ref, bad string) {
	var found []Network
	for _, n := range inv.Networks {
		if n.is(name) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Sprintf("there is no network %q %s", name, inv.there())
	case 1:
		return found[0].Ref, ""
	}
	return "", fmt.Sprintf("%d networks %s are called %q: give the path", len(found), inv.there(), name)
}

// FindNetwork finds a network by name or path; bad says why not.
func (inv Inventory) FindNetwork(name string) (ref Ref, bad string) { return inv.network(name) }
