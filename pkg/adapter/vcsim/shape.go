package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type viewMethods struct{ target }

// CreateContainerView is the stock one, with no VM or folder coming or going.
func (m *viewMethods) CreateContainerView(ctx *simulator.Context, req *types.CreateContainerView) (res soap.HasFault) {
	v := ctx.Map.ViewManager()
	m.s.shape.Lock()
	defer m.s.shape.Unlock()
	ctx.WithLock(v, func() { res = v.CreateContainerView(ctx, req) })
	return res
}

// CreateFolder is the stock one, with nobody walking the tree.
func (m *folderMethods) CreateFolder(ctx *simulator.Context, req *types.CreateFolder) (res soap.HasFault) {
	f, ok := ctx.Map.Get(req.This).(*simulator.Folder)
	if !ok {
		return &methods.CreateFolderBody{Fault_: notFound(req.This)}
	}
	m.s.shape.Lock()
	defer m.s.shape.Unlock()
	ctx.WithLock(f, func() { res = f.CreateFolder(ctx, req) })
	return res
}
