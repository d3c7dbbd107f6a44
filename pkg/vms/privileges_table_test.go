package vms_test

import (
	"testing"

	"tidemark.dev/pkg/vms"
)

// A table that names a privilege twice for one role, or does not say what for,
// would be asked for twice or for nothing.
func TestPrivileges(t *testing.T) {
	type key struct {
		id   string
		role vms.Role
	}
	seen := map[key]bool{}
	for _, p := range vms.Privileges() {
		k := key{p.ID, p.Role}
		if seen[k] || seen[key{p.ID, vms.Every}] {
			t.Errorf("%s is there twice", p.ID)
		}
		seen[k] = true
		if p.Purpose == "" || p.Role == "" {
			t.Errorf("%s: no purpose or role", p.ID)
		}
	}
}

func TestPrivilegesOfARole(t *testing.T) {
	for _, p := range vms.Privileges(vms.AsSource) {
		if p.Role != vms.AsSource && p.Role != vms.Every {
			t.Errorf("%s is of role %s", p.ID, p.Role)
		}
	}
	all, none := len(vms.Privileges(vms.AsSource)), len(vms.Privileges(vms.Every))
	if none == 0 || all <= none {
		t.Errorf("%d for every site, %d for a source", none, all)
	}
}
