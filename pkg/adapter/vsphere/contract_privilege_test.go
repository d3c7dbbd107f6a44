package vsphere_test

import (
	"slices"
	"testing"

	"github.com/vmware/govmomi/object"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

func contractPrivileges(e *env) {
	lacks, err := e.c.Lacks(e.ctx, vmpolicy.Privileges())
	e.must(err)
	if len(lacks) > 0 {
		e.Errorf("the user lacks %+v", lacks)
	}
}

func TestLacks(t *testing.T) {
	e := target(t, vcsim.Config{})
	e.sim.Deny("VirtualMachine.State.CreateSnapshot")
	lacks, err := e.c.Lacks(e.ctx, vmpolicy.Privileges(inventory.AsSource))
	e.must(err)
	if len(lacks) != 1 || lacks[0].Privilege != "VirtualMachine.State.CreateSnapshot" || lacks[0].Purpose == "" || lacks[0].Entity == "" {
		t.Errorf("%+v", lacks)
	}
	e.sim.Deny("VirtualMachine.State.CreateSnapshot", "Network.Assign") // a guard needs a snapshot, too
	lacks, err = e.c.Lacks(e.ctx, vmpolicy.Privileges(inventory.AsTarget))
	e.must(err)
	if len(lacks) != 2 || lacks[1].Privilege != "Network.Assign" {
		t.Errorf("%+v", lacks)
	}
	lacks, err = e.c.Lacks(e.ctx, []inventory.Privilege{{ID: "Network.Assign", Purpose: "p", Entity: e.network.Ref}})
	e.must(err)
	if len(lacks) != 1 || lacks[0].Entity != string(e.network.Ref) {
		t.Errorf("%+v", lacks)
	}
	made, err := e.sim.AddVM(vcsim.VMSpec{Name: "db01"})
	e.must(err)
	v, err := e.c.VM(e.ctx, made.UUID)
	e.must(err)
	_, err = e.c.Snapshot(e.ctx, v.Ref, "s", "", false)
	e.is(err, cdp.Conflict, "VirtualMachine.State.CreateSnapshot", "grant", "db01")
}

// vCenter knows all names of the table.
func TestPrivilegesExist(t *testing.T) {
	e := target(t, vcsim.Config{})
	c, err := e.sim.Client(e.ctx)
	e.must(err)
	defer func() { _ = c.Logout(e.ctx) }()
	roles, err := object.NewAuthorizationManager(c.Client).RoleList(e.ctx)
	e.must(err)
	known := roles.ByName("Admin").Privilege
	for _, p := range vmpolicy.Privileges() {
		if !slices.Contains(known, p.ID) {
			t.Errorf("there is no privilege %s", p.ID)
		}
	}
}
