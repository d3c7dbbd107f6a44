package vmpolicy_test

import (
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// A boot order is not copied. If one was set, a warning says so.
func TestABootOrderIsNamed(t *testing.T) {
	for _, order := range [][]string{nil, {"disk", "network"}} {
		v := web("web01")
		v.BootOrder = order
		ps := vmpolicy.Check(vmpolicy.Situation{Job: job(), Members: []inventory.VM{v}, Target: target(), JournalFree: -1})
		named := slices.ContainsFunc(ps, func(p inventory.Problem) bool {
			return p.Rule == "boot-order" && p.Warning && p.VM == "web01" && strings.Contains(p.Text, "disk, network")
		})
		if named != (order != nil) {
			t.Errorf("%v: %+v", order, ps)
		}
	}
}
