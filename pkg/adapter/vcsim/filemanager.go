package vcsim

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// fileMethods are the methods of the FileManager that concern disks. A disk that is
// deleted as a file is deleted as a disk.
type fileMethods struct{ target }

func (m *fileMethods) DeleteDatastoreFileTask(ctx *simulator.Context, req *types.DeleteDatastoreFile_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "deleteDatastoreFile", func() (result, fault) { return nil, m.s.deleteFile(req.Name) })
	return &methods.DeleteDatastoreFile_TaskBody{Res: &types.DeleteDatastoreFile_TaskResponse{Returnval: ref}}
}

func (s *Site) deleteFile(name string) fault {
	file, err := s.local(name)
	if err != nil {
		return &types.InvalidDatastorePath{DatastorePath: name}
	}
	if _, err = os.Stat(file); err != nil {
		return fileFault(name, err)
	}
	name = canonical(name)
	if base, ok := strings.CutSuffix(name, "-flat.vmdk"); ok {
		if who, locked := s.lockedBy(types.ManagedObjectReference{}, []vmDisk{{file: base + ".vmdk"}}); who != "" {
			return fileLocked(locked)
		}
	}
	s.mu.Lock()
	var below []*image
	for known, im := range s.images {
		if known == name || strings.HasPrefix(known, name+"/") {
			below = append(below, im)
		}
	}
	s.mu.Unlock()
	for _, im := range below {
		for _, n := range im.nodes {
			if who, locked := s.lockedBy(types.ManagedObjectReference{}, []vmDisk{{file: n.name}}); who != "" {
				return fileLocked(locked)
			}
		}
	}
	for _, im := range below {
		s.deleteImage(im)
	}
	if err = os.RemoveAll(file); err != nil {
		return fileFault(name, err)
	}
	return nil
}

func (m *fileMethods) MakeDirectory(ctx *simulator.Context, req *types.MakeDirectory) soap.HasFault {
	dir, err := m.s.local(req.Name)
	if err != nil {
		return &methods.MakeDirectoryBody{Fault_: soapFault(&types.InvalidDatastorePath{DatastorePath: req.Name})}
	}
	if req.CreateParentDirectories != nil && *req.CreateParentDirectories {
		if _, serr := os.Stat(dir); serr == nil {
			err = fs.ErrExist
		} else {
			err = os.MkdirAll(dir, 0o755)
		}
	} else {
		err = os.Mkdir(dir, 0o755)
	}
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = os.ErrExist
		}
		return &methods.MakeDirectoryBody{Fault_: soapFault(fileFault(req.Name, err))}
	}
	return &methods.MakeDirectoryBody{Res: &types.MakeDirectoryResponse{}}
}

// browserMethods are the stock ones under the storage lock, because they read what
// storage tasks write.
type browserMethods struct{ target }

func (m *browserMethods) SearchDatastoreTask(ctx *simulator.Context, req *types.SearchDatastore_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "searchDatastore", func() (result, fault) {
		b := ctx.Map.Get(req.This).(*simulator.HostDatastoreBrowser)
		r, f := inner(ctx, b.SearchDatastoreTask(ctx, req).(*methods.SearchDatastore_TaskBody).Res.Returnval)
		if found, ok := r.(types.HostDatastoreBrowserSearchResults); ok && f == nil {
			m.s.tellCapacity(req, found)
		}
		return r, f
	})
	return &methods.SearchDatastore_TaskBody{Res: &types.SearchDatastore_TaskResponse{Returnval: ref}}
}

func (m *browserMethods) SearchDatastoreSubFoldersTask(ctx *simulator.Context, req *types.SearchDatastoreSubFolders_Task) soap.HasFault {
	ref := m.s.run(ctx, req.This, "searchDatastoreSubFolders", func() (result, fault) {
		b := ctx.Map.Get(req.This).(*simulator.HostDatastoreBrowser)
		return inner(ctx, b.SearchDatastoreSubFoldersTask(ctx, req).(*methods.SearchDatastoreSubFolders_TaskBody).Res.Returnval)
	})
	return &methods.SearchDatastoreSubFolders_TaskBody{Res: &types.SearchDatastoreSubFolders_TaskResponse{Returnval: ref}}
}

// tellCapacity adds the capacity to disks that were found, if the query asks for
// it.
func (s *Site) tellCapacity(req *types.SearchDatastore_Task, found types.HostDatastoreBrowserSearchResults) {
	asked := req.SearchSpec != nil && slices.ContainsFunc(req.SearchSpec.Query, func(q types.BaseFileQuery) bool {
		d, ok := q.(*types.VmDiskFileQuery)
		return ok && d.Details != nil && d.Details.CapacityKb
	})
	if !asked {
		return
	}
	var dir object.DatastorePath
	dir.FromString(req.DatastorePath)
	for _, f := range found.File {
		d, ok := f.(*types.VmDiskFileInfo)
		if !ok {
			continue
		}
		at := object.DatastorePath{Datastore: dir.Datastore, Path: path.Join(dir.Path, d.Path)}
		if file, err := s.local(at.String()); err == nil {
			if desc, err := readDescriptor(file); err == nil {
				d.CapacityKb = desc.Capacity() / 1024
			}
		}
	}
}
