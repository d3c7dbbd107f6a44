package vcsim

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// newVMs keeps a VM that is being made locked. The simulator shows a new VM to
// everybody, and then goes on writing to it without its lock.
type newVMs struct {
	target

	mu     sync.Mutex
	maker  *simulator.Context // who makes a VM now; nil: nobody
	unlock func()
}

// making does f, which makes at most one VM on behalf of ctx, and locks that VM
// from when it can be seen until f is over. It holds buildMu and shape.
func (s *Site) making(ctx *simulator.Context, f func()) {
	buildMu.Lock()
	defer buildMu.Unlock()
	s.shape.Lock()
	defer s.shape.Unlock()
	n := s.fresh
	n.set(ctx)
	defer func() {
		if unlock := n.set(nil); unlock != nil {
			unlock()
		}
	}()
	f()
}

func (n *newVMs) set(ctx *simulator.Context) (unlock func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	unlock = n.unlock
	n.maker, n.unlock = ctx, nil
	return unlock
}

// PutObject is called with the lock held by the maker, who shares it here. A VM
// that is known already is only moved to another folder.
func (n *newVMs) PutObject(ctx *simulator.Context, obj mo.Reference) {
	vm, ok := obj.(*simulator.VirtualMachine)
	if !ok {
		return
	}
	n.s.mu.Lock()
	known := n.s.vms[vm.Self] != nil
	n.s.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.maker != nil && n.unlock == nil && !known {
		n.unlock = ctx.Map.AcquireLock(n.maker, vm)
	}
}

func (*newVMs) UpdateObject(*simulator.Context, mo.Reference, []types.PropertyChange) {}
func (*newVMs) RemoveObject(*simulator.Context, types.ManagedObjectReference)         {}
