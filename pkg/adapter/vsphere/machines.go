package vsphere

import (
	"context"
	"strings"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// knownRefs are the references of VMs by instance UUID, as they were last seen. Where a
// VM is, is always checked by its UUID: it may have been registered anew.
type knownRefs struct {
	mu sync.Mutex
	by map[string]types.ManagedObjectReference
}

func (k *knownRefs) get(uuid string) (types.ManagedObjectReference, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ref, ok := k.by[strings.ToLower(uuid)]
	return ref, ok
}

func (k *knownRefs) set(uuid string, ref types.ManagedObjectReference) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil {
		k.by = map[string]types.ManagedObjectReference{}
	}
	k.by[strings.ToLower(uuid)] = ref
}

func (k *knownRefs) forget(uuids []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, u := range uuids {
		delete(k.by, strings.ToLower(u))
	}
}

// Machines reads VMs by instance UUID, in order, with one call where their references
// are known, and a second one for the disks of their snapshots if they have any. They
// have no path, no tags and no names of networks. NotFound; Conflict: the vCenter has no
// configuration of one, because it cannot reach it.
func (c *Client) Machines(ctx context.Context, uuids ...string) ([]inventory.VM, error) {
	const op = "look up VMs"
	for try := 1; ; try++ {
		out, err := c.machines(ctx, op, uuids)
		if err != nil {
			return nil, err
		}
		var list []inventory.Snapshot
		for _, v := range out {
			list = append(list, v.Snapshots...)
		}
		if len(list) == 0 {
			return out, nil
		}
		err = c.frozen(ctx, op, strings.Join(uuids, ", "), list)
		// As in Snapshots: one that was removed meanwhile fails the whole answer.
		if cdp.Is(err, cdp.NotFound) && try < 5 {
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range out {
			n := copy(out[i].Snapshots, list)
			list = list[n:]
		}
		return out, nil
	}
}

func (c *Client) machines(ctx context.Context, op string, uuids []string) ([]inventory.VM, error) {
	subject := strings.Join(uuids, ", ")
	var out []inventory.VM
	err := c.do(ctx, op, subject, func(ctx context.Context, v *vim25.Client) (err error) {
		if out, err = c.machinesAt(ctx, v, op, uuids); err == nil {
			return nil
		}
		if !isFault[*types.ManagedObjectNotFound](err) && !cdp.Is(err, cdp.NotFound) {
			return err
		}
		// One of them may be elsewhere now.
		c.refs.forget(uuids)
		out, err = c.machinesAt(ctx, v, op, uuids)
		return err
	})
	return out, err
}

func (c *Client) machinesAt(ctx context.Context, v *vim25.Client, op string, uuids []string) ([]inventory.VM, error) {
	var refs []types.ManagedObjectReference
	for _, u := range uuids {
		ref, known := c.refs.get(u)
		if !known {
			found, err := object.NewSearchIndex(v).FindByUuid(ctx, nil, u, true, types.NewBool(true))
			if err != nil {
				return nil, err
			}
			if found == nil {
				return nil, cdp.Errorf(cdp.NotFound, op, u, "no VM has this instance UUID")
			}
			ref = found.Reference()
			c.refs.set(u, ref)
		}
		refs = append(refs, ref)
	}
	objs, err := retrieve(ctx, v, refs, "VirtualMachine", vmProperties)
	if err != nil {
		return nil, err
	}
	g, err := gatherAll(objs)
	if err != nil {
		return nil, err
	}
	byRef := map[types.ManagedObjectReference]inventory.VM{}
	for i := range g.machines {
		m := &g.machines[i]
		if m.Config == nil {
			return nil, unreachable(op, m)
		}
		byRef[m.Self] = vmOf(m, configured(m.Config), inventory.Place{Ref: refOf(&m.Self), Name: inventory.Unescape(m.Name)}, nil)
	}
	out := make([]inventory.VM, len(uuids))
	for i, u := range uuids {
		out[i] = byRef[refs[i]]
		if !strings.EqualFold(out[i].UUID, u) {
			return nil, cdp.Errorf(cdp.NotFound, op, u, "no VM with this instance UUID is at %s any more", refs[i].Value)
		}
	}
	return out, nil
}
