package vmpolicy_test

import (
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// A table that names a privilege twice for one role, or does not say what for,
// would be asked for twice or for nothing.
func TestPrivileges(t *testing.T) {
	type key struct {
		id   string
		role inventory.Role
	}
	seen := map[key]bool{}
	for _, p := range vmpolicy.Privileges() {
		k := key{p.ID, p.Role}
		if seen[k] || seen[key{p.ID, inventory.Every}] {
			t.Errorf("%s is there twice", p.ID)
		}
		seen[k] = true
		if p.Purpose == "" || p.Role == "" {
			t.Errorf("%s: no purpose or role", p.ID)
		}
	}
}

func TestPrivilegesOfARole(t *testing.T) {
	for _, p := range vmpolicy.Privileges(inventory.AsSource) {
		if p.Role != inventory.AsSource && p.Role != inventory.Every {
			t.Errorf("%s is of role %s", p.ID, p.Role)
		}
	}
	all, none := len(vmpolicy.Privileges(inventory.AsSource)), len(vmpolicy.Privileges(inventory.Every))
	if none == 0 || all <= none {
		t.Errorf("%d for every site, %d for a source", none, all)
	}
}
