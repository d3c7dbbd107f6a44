package vmpolicy

import (
	"fmt"
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// Wiring are the networks of a replica's NICs, by the source's device key. In
// Test, "" means that the NIC is disconnected.
type Wiring struct {
	Production, Test map[int32]inventory.Ref
}

// Wire maps the NICs of a source VM to networks of the target. A NIC without a map
// is a problem.
func Wire(v inventory.VM, maps []inventory.NetworkMap, target inventory.Inventory) (Wiring, []inventory.Problem) {
	w := Wiring{map[int32]inventory.Ref{}, map[int32]inventory.Ref{}}
	var problems []inventory.Problem
	for _, n := range v.Hardware.NICs {
		i := slices.IndexFunc(maps, func(m inventory.NetworkMap) bool { return m.From == n.NetName || m.From == string(n.Network) })
		if i < 0 {
			problems = append(problems, inventory.Problem{VM: v.Name, Path: "/spec/target/networks", Rule: "unmapped",
				Text: fmt.Sprintf("%s is on the network %q, which is not mapped", n.Label, n.NetName)})
			continue
		}
		if to, bad := target.FindNetwork(maps[i].To); bad == "" {
			w.Production[n.Key] = to.Ref
		}
		if maps[i].Test == "" {
			w.Test[n.Key] = ""
		} else if to, bad := target.FindNetwork(maps[i].Test); bad == "" {
			w.Test[n.Key] = to.Ref
		}
	}
	return w, problems
}

// checkNetworks finds maps to networks that do not exist in the replicas' datacenter.
func checkNetworks(maps []inventory.NetworkMap, target inventory.Inventory, dc inventory.Ref) []inventory.Problem {
	var problems []inventory.Problem
	look := func(path, name string) {
		n, why := target.FindNetwork(name)
		if why == "" && dc != "" && target.DatacenterAt(n.Path) != dc {
			why = fmt.Sprintf("the network %s is in another datacenter than the datastore", n.Path)
		}
		if why != "" {
			problems = append(problems, inventory.Problem{Path: path, Rule: "reference", Text: why})
		}
	}
	from := map[string]int{}
	for i, m := range maps {
		at := fmt.Sprintf("/spec/target/networks/%d", i)
		if first, twice := from[m.From]; twice {
			problems = append(problems, inventory.Problem{Path: at + "/from", Rule: "unique", Text: fmt.Sprintf("%q is mapped by networks/%d already", m.From, first)})
		} else {
			from[m.From] = i
		}
		look(at+"/to", m.To)
		if m.Test != "" {
			look(at+"/test", m.Test)
		}
	}
	return problems
}
