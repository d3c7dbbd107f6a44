package vsphere

import (
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// morOf is the managed object of a reference; Invalid if it does not have the form
// "VirtualMachine:vm-12" or is not of one of these types.
func morOf(r inventory.Ref, kinds ...string) (types.ManagedObjectReference, error) {
	var m types.ManagedObjectReference
	if !m.FromString(string(r)) || m.Type == "" || m.Value == "" {
		return m, cdp.Errorf(cdp.Invalid, "read the reference", string(r), "it does not have the form VirtualMachine:vm-12")
	}
	for _, k := range kinds {
		if k == m.Type {
			return m, nil
		}
	}
	if len(kinds) > 0 {
		return m, cdp.Errorf(cdp.Invalid, "read the reference", string(r), "it is a %s, not a %s", m.Type, kinds[0])
	}
	return m, nil
}

// refOf is the reference to a managed object; "" for none.
func refOf(m *types.ManagedObjectReference) inventory.Ref {
	if m == nil || m.Value == "" {
		return ""
	}
	return inventory.Ref(m.String())
}

func refsOf(ms []types.ManagedObjectReference) []inventory.Ref {
	out := make([]inventory.Ref, len(ms))
	for i := range ms {
		out[i] = refOf(&ms[i])
	}
	return out
}

// vmRef is a VM's managed object.
func vmRef(r inventory.Ref) (types.ManagedObjectReference, error) { return morOf(r, "VirtualMachine") }
