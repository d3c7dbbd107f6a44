package vcsim

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// diskMethods is the VirtualDiskManager. All of it is ours: the stock one makes no
// content, and copies whole sparse disks byte by byte.
type diskMethods struct{ target }

func (m *diskMethods) CreateVirtualDiskTask(ctx *simulator.Context, req *types.CreateVirtualDisk_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "createVirtualDisk", func() (result, fault) {
		spec, ok := req.Spec.(types.BaseFileBackedVirtualDiskSpec)
		if !ok {
			return nil, &types.InvalidArgument{InvalidProperty: "spec"}
		}
		return canonical(req.Name), m.s.createDisk(req.Name, spec.GetFileBackedVirtualDiskSpec().CapacityKb*1024)
	})
	return &methods.CreateVirtualDisk_TaskBody{Res: &types.CreateVirtualDisk_TaskResponse{Returnval: ref}}
}

func (s *Site) createDisk(name string, size int64) fault {
	name = canonical(name)
	file, f := s.newFile(name, false)
	if f != nil {
		return f
	}
	if size <= 0 || !strings.HasSuffix(name, ".vmdk") {
		return &types.InvalidArgument{InvalidProperty: "capacityKb"}
	}
	_ = os.Remove(flatName(file)) // an old flat without a descriptor is nobody's
	if err := s.adopt(name, size, newDiskUUID()); err != nil {
		return fileFault(name, err)
	}
	return nil
}

// newFile is the local name of a file to be made. Its directory must exist.
func (s *Site) newFile(name string, force bool) (string, fault) {
	file, err := s.local(name)
	if err != nil {
		return "", &types.InvalidDatastorePath{DatastorePath: name}
	}
	if _, err = os.Stat(filepath.Dir(file)); err != nil {
		return "", &types.FileNotFound{FileFault: types.FileFault{File: name}}
	}
	if _, err = os.Stat(file); err == nil && !force {
		return "", &types.FileAlreadyExists{FileFault: types.FileFault{File: name}}
	}
	return file, nil
}

func (m *diskMethods) ExtendVirtualDiskTask(ctx *simulator.Context, req *types.ExtendVirtualDisk_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "extendVirtualDisk", func() (result, fault) {
		im, n, f := m.s.unlocked(req.Name)
		if f != nil {
			return nil, f
		}
		size := req.NewCapacityKb * 1024
		if size < im.size || len(im.nodes) > 1 || n != im.live {
			return nil, &types.InvalidArgument{InvalidProperty: "newCapacityKb"}
		}
		if err := m.s.growDisk(n.name, size); err != nil {
			return nil, fileFault(n.name, err)
		}
		return nil, nil
	})
	return &methods.ExtendVirtualDisk_TaskBody{Res: &types.ExtendVirtualDisk_TaskResponse{Returnval: ref}}
}

// unlocked opens a disk that no running VM has open exclusively.
func (s *Site) unlocked(name string) (*image, *node, fault) {
	im, n, err := s.open(name)
	if err != nil {
		return nil, nil, fileFault(name, err)
	}
	if who, file := s.lockedBy(types.ManagedObjectReference{}, []vmDisk{{file: n.name}}); who != "" {
		return nil, nil, fileLocked(file)
	}
	return im, n, nil
}

func (m *diskMethods) CopyVirtualDiskTask(ctx *simulator.Context, req *types.CopyVirtualDisk_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "copyVirtualDisk", func() (result, fault) {
		force := req.Force != nil && *req.Force
		return canonical(req.DestName), m.s.copyDisk(req.SourceName, req.DestName, force)
	})
	return &methods.CopyVirtualDisk_TaskBody{Res: &types.CopyVirtualDisk_TaskResponse{Returnval: ref}}
}

func (s *Site) copyDisk(from, to string, force bool) fault {
	im, n, err := s.open(from)
	if err != nil {
		return fileFault(from, err)
	}
	if who, file := s.lockedBy(types.ManagedObjectReference{}, []vmDisk{{file: n.name, shared: true}}); who != "" {
		return fileLocked(file)
	}
	to = canonical(to)
	file, f := s.newFile(to, force)
	if f != nil {
		return f
	}
	if _, err = os.Stat(file); err == nil {
		old, _, f := s.unlocked(to)
		if f != nil {
			return f
		}
		s.deleteImage(old)
	}
	if err = cloneFile(flatName(file), n.file); err != nil {
		return fileFault(to, err)
	}
	if err = s.adopt(to, im.size, newDiskUUID()); err != nil {
		return fileFault(to, err)
	}
	return nil
}

func (m *diskMethods) MoveVirtualDiskTask(ctx *simulator.Context, req *types.MoveVirtualDisk_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "moveVirtualDisk", func() (result, fault) {
		im, n, f := m.s.unlocked(req.SourceName)
		if f != nil {
			return nil, f
		}
		if len(im.nodes) > 1 || n != im.live {
			return nil, &types.InvalidArgument{InvalidProperty: "sourceName"}
		}
		to := canonical(req.DestName)
		file, f := m.s.newFile(to, req.Force != nil && *req.Force)
		if f != nil {
			return nil, f
		}
		if err := os.Rename(im.flat, flatName(file)); err != nil {
			return nil, fileFault(to, err)
		}
		id, size := im.uuid, im.size
		m.s.deleteImage(im)
		if err := m.s.adopt(to, size, id); err != nil {
			return nil, fileFault(to, err)
		}
		return to, nil
	})
	return &methods.MoveVirtualDisk_TaskBody{Res: &types.MoveVirtualDisk_TaskResponse{Returnval: ref}}
}

func (m *diskMethods) DeleteVirtualDiskTask(ctx *simulator.Context, req *types.DeleteVirtualDisk_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "deleteVirtualDisk", func() (result, fault) {
		im, n, f := m.s.unlocked(req.Name)
		if f != nil {
			return nil, f
		}
		if n != im.live {
			return nil, fileLocked(n.name)
		}
		m.s.deleteImage(im)
		return nil, nil
	})
	return &methods.DeleteVirtualDisk_TaskBody{Res: &types.DeleteVirtualDisk_TaskResponse{Returnval: ref}}
}

func (m *diskMethods) QueryVirtualDiskUuid(ctx *simulator.Context, req *types.QueryVirtualDiskUuid) soap.HasFault {
	m.s.storage.Lock()
	defer m.s.storage.Unlock()
	im, _, err := m.s.open(req.Name)
	if err != nil {
		return &methods.QueryVirtualDiskUuidBody{Fault_: soapFault(fileFault(req.Name, err))}
	}
	return &methods.QueryVirtualDiskUuidBody{Res: &types.QueryVirtualDiskUuidResponse{Returnval: ddbUUID(im.uuid)}}
}

func (m *diskMethods) SetVirtualDiskUuid(ctx *simulator.Context, req *types.SetVirtualDiskUuid) soap.HasFault {
	m.s.storage.Lock()
	defer m.s.storage.Unlock()
	im, n, f := m.s.unlocked(req.Name)
	id := parseUUID(req.Uuid)
	if f == nil && (id == "" || n != im.live || len(im.nodes) > 1) {
		f = &types.InvalidArgument{InvalidProperty: "uuid"}
	}
	if f == nil {
		file, _ := m.s.local(n.name)
		if err := writeDescriptor(file, im.size, id); err != nil {
			f = fileFault(req.Name, err)
		}
	}
	if f != nil {
		return &methods.SetVirtualDiskUuidBody{Fault_: soapFault(f)}
	}
	m.s.mu.Lock()
	im.uuid = id
	m.s.mu.Unlock()
	return &methods.SetVirtualDiskUuidBody{Res: &types.SetVirtualDiskUuidResponse{}}
}
