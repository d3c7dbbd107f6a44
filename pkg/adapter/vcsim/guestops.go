package vcsim

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// GuestPassword is what every simulated guest takes, of any user but "nobody".
const GuestPassword = "guest-1!"

// GuestDir is a directory of this machine that is the root of a VM's guest, for what
// VMware Tools do there. Programs in its bin come before those of guestTools.
func (s *Site) GuestDir(vm string) (string, error) {
	_, v, err := s.find(vm)
	if err != nil {
		return "", err
	}
	return s.guestDir(v.uuid)
}

func (s *Site) guestDir(uuid string) (string, error) {
	dir := filepath.Join(s.cfg.Dir, "guests", uuid)
	for _, d := range []string{"bin", "etc", "var/tmp", "Windows/Temp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// insideGuest is the local file of a guest's path, with slashes or backslashes.
func insideGuest(dir, path string) string {
	path = strings.ReplaceAll(strings.TrimPrefix(path, "C:"), `\`, "/")
	return filepath.Join(dir, filepath.Clean("/"+path))
}

// guest is the directory of a guest that takes a call, or why it takes none.
func (s *Site) guest(ctx *simulator.Context, ref types.ManagedObjectReference, auth types.BaseGuestAuthentication) (string, fault) {
	vm := vmOf(ctx, ref)
	if vm == nil {
		return "", &types.ManagedObjectNotFound{Obj: ref}
	}
	var f fault
	uuid := ""
	ctx.WithLock(vm, func() {
		uuid = vm.Config.InstanceUuid
		switch {
		case vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn:
			f = wrongPower(vm, types.VirtualMachinePowerStatePoweredOn)
		case vm.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning):
			f = &types.GuestOperationsUnavailable{}
		}
	})
	if f != nil {
		return "", f
	}
	login, ok := auth.(*types.NamePasswordAuthentication)
	if !ok || login.Password != GuestPassword || login.Username == "nobody" {
		return "", &types.InvalidGuestLogin{}
	}
	dir, err := s.guestDir(uuid)
	if err != nil {
		return "", systemError(err)
	}
	return dir, nil
}

// guestFiles are the files of guests.
type guestFiles struct{ target }

func (m *guestFiles) MakeDirectoryInGuest(ctx *simulator.Context, req *types.MakeDirectoryInGuest) soap.HasFault {
	dir, f := m.s.guest(ctx, req.Vm, req.Auth)
	if f == nil {
		f = guestFault(req.DirectoryPath, os.Mkdir(insideGuest(dir, req.DirectoryPath), 0o755))
	}
	if f != nil {
		return &methods.MakeDirectoryInGuestBody{Fault_: soapFault(f)}
	}
	return &methods.MakeDirectoryInGuestBody{Res: &types.MakeDirectoryInGuestResponse{}}
}

func (m *guestFiles) DeleteDirectoryInGuest(ctx *simulator.Context, req *types.DeleteDirectoryInGuest) soap.HasFault {
	dir, f := m.s.guest(ctx, req.Vm, req.Auth)
	if f == nil {
		path := insideGuest(dir, req.DirectoryPath)
		_, err := os.Stat(path)
		if err == nil && req.Recursive {
			err = os.RemoveAll(path)
		} else if err == nil {
			err = os.Remove(path)
		}
		f = guestFault(req.DirectoryPath, err)
	}
	if f != nil {
		return &methods.DeleteDirectoryInGuestBody{Fault_: soapFault(f)}
	}
	return &methods.DeleteDirectoryInGuestBody{Res: &types.DeleteDirectoryInGuestResponse{}}
}

func (m *guestFiles) ListFilesInGuest(ctx *simulator.Context, req *types.ListFilesInGuest) soap.HasFault {
	dir, f := m.s.guest(ctx, req.Vm, req.Auth)
	var out types.GuestListFileInfo
	if f == nil {
		list, err := os.ReadDir(insideGuest(dir, req.FilePath))
		f = guestFault(req.FilePath, err)
		for _, e := range list {
			if st, err := e.Info(); err == nil {
				out.Files = append(out.Files, types.GuestFileInfo{Path: e.Name(), Type: "file", Size: st.Size(), Attributes: &types.GuestFileAttributes{}})
			}
		}
	}
	if f != nil {
		return &methods.ListFilesInGuestBody{Fault_: soapFault(f)}
	}
	return &methods.ListFilesInGuestBody{Res: &types.ListFilesInGuestResponse{Returnval: out}}
}

func (m *guestFiles) ChangeFileAttributesInGuest(ctx *simulator.Context, req *types.ChangeFileAttributesInGuest) soap.HasFault {
	dir, f := m.s.guest(ctx, req.Vm, req.Auth)
	if a, ok := req.FileAttributes.(*types.GuestPosixFileAttributes); ok && f == nil {
		f = guestFault(req.GuestFilePath, os.Chmod(insideGuest(dir, req.GuestFilePath), os.FileMode(a.Permissions)))
	}
	if f != nil {
		return &methods.ChangeFileAttributesInGuestBody{Fault_: soapFault(f)}
	}
	return &methods.ChangeFileAttributesInGuestBody{Res: &types.ChangeFileAttributesInGuestResponse{}}
}

func (m *guestFiles) InitiateFileTransferToGuest(ctx *simulator.Context, req *types.InitiateFileTransferToGuest) soap.HasFault {
	dir, f := m.s.guest(ctx, req.Vm, req.Auth)
	if f != nil {
		return &methods.InitiateFileTransferToGuestBody{Fault_: soapFault(f)}
	}
	return &methods.InitiateFileTransferToGuestBody{Res: &types.InitiateFileTransferToGuestResponse{
		Returnval: m.s.guestURL(insideGuest(dir, req.GuestFilePath)),
	}}
}

func (m *guestFiles) InitiateFileTransferFromGuest(ctx *simulator.Context, req *types.InitiateFileTransferFromGuest) soap.HasFault {
	dir, f := m.s.guest(ctx, req.Vm, req.Auth)
	path := insideGuest(dir, req.GuestFilePath)
	var size int64
	if f == nil {
		st, err := os.Stat(path)
		if f = guestFault(req.GuestFilePath, err); f == nil {
			size = st.Size()
		}
	}
	if f != nil {
		return &methods.InitiateFileTransferFromGuestBody{Fault_: soapFault(f)}
	}
	return &methods.InitiateFileTransferFromGuestBody{Res: &types.InitiateFileTransferFromGuestResponse{
		Returnval: types.FileTransferInformation{Attributes: &types.GuestFileAttributes{}, Size: size, Url: m.s.guestURL(path)},
	}}
}

func guestFault(path string, err error) fault {
	switch {
	case err == nil:
		return nil
	case os.IsExist(err):
		return &types.FileAlreadyExists{FileFault: types.FileFault{File: path}}
	case os.IsNotExist(err):
		return &types.FileNotFound{FileFault: types.FileFault{File: path}}
	}
	return systemError(err)
}

// guestProcesses are the processes of guests.
type guestProcesses struct {
	target
	guests *guests
}

func (m *guestProcesses) StartProgramInGuest(ctx *simulator.Context, req *types.StartProgramInGuest) soap.HasFault {
	dir, f := m.s.guest(ctx, req.Vm, req.Auth)
	pid := int64(0)
	if spec, ok := req.Spec.(*types.GuestProgramSpec); !ok {
		f = &types.InvalidArgument{InvalidProperty: "spec"}
	} else if f == nil {
		pid, f = m.guests.start(dir, spec)
	}
	if f != nil {
		return &methods.StartProgramInGuestBody{Fault_: soapFault(f)}
	}
	return &methods.StartProgramInGuestBody{Res: &types.StartProgramInGuestResponse{Returnval: pid}}
}

func (m *guestProcesses) ListProcessesInGuest(ctx *simulator.Context, req *types.ListProcessesInGuest) soap.HasFault {
	dir, f := m.s.guest(ctx, req.Vm, req.Auth)
	if f != nil {
		return &methods.ListProcessesInGuestBody{Fault_: soapFault(f)}
	}
	var out []types.GuestProcessInfo
	for _, p := range m.guests.list(dir) {
		if len(req.Pids) == 0 || slices.Contains(req.Pids, p.Pid) {
			out = append(out, p)
		}
	}
	return &methods.ListProcessesInGuestBody{Res: &types.ListProcessesInGuestResponse{Returnval: out}}
}
