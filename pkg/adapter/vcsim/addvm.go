package vcsim

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// VMSpec is a VM to make. Only Name is required.
type VMSpec struct {
	Name       string
	Folder     string // below the VM folder, made if missing: "prod/db"
	CPUs       int32  // default 1
	MemoryMB   int64  // default 128
	Firmware   string // bios or efi
	SecureBoot bool
	GuestID    string // default otherGuest64
	Version    string // hardware version, e.g. vmx-19
	Annotation string
	Host       string // default: any
	Datastore  string // of the VM; default the first
	Disks      []DiskSpec
	NICs       []NICSpec
	Extra      map[string]string
	Tags       []string // "category/tag", made if missing
	CBT        bool
	On         bool
}

// DiskSpec is a disk to make.
type DiskSpec struct {
	Size       int64  // bytes
	Controller string // pvscsi (default), lsilogic, lsilogic-sas, buslogic, nvme, ide
	Datastore  string // default the VM's
	Mode       string // default persistent
}

// NICSpec is a network card to make.
type NICSpec struct {
	Network string // default "VM Network"
	Kind    string // vmxnet3 (default), e1000, e1000e
	MAC     string
}

// VMRef is a VM that was made.
type VMRef struct {
	Ref   types.ManagedObjectReference
	Name  string
	UUID  string // instance UUID
	Host  string
	Disks []PowerDisk
}

// AddVM makes a VM with the methods that a client would use.
func (s *Site) AddVM(spec VMSpec) (VMRef, error) {
	ctx, reg := insideContext(), s.registry()
	req := types.CreateVM_Task{This: s.folder(spec.Folder)}
	for _, e := range reg.All("ResourcePool") {
		req.Pool = e.Reference()
	}
	if spec.Host != "" {
		h, err := s.host(spec.Host)
		if err != nil {
			return VMRef{}, err
		}
		req.Host = &h.Self
	}
	var err error
	if req.Config, err = s.configSpec(spec); err != nil {
		return VMRef{}, err
	}
	t, err := methods.CreateVM_Task(ctx, s.svc, &req)
	if err != nil {
		return VMRef{}, err
	}
	r, err := s.wait(t.Returnval, nil)
	if err != nil {
		return VMRef{}, err
	}
	ref := r.(types.ManagedObjectReference)
	if err = s.tag(ref, spec.Tags); err != nil {
		return VMRef{}, err
	}
	if spec.On {
		p, err := methods.PowerOnVM_Task(ctx, s.svc, &types.PowerOnVM_Task{This: ref})
		if err != nil {
			return VMRef{}, err
		}
		if _, err = s.wait(p.Returnval, nil); err != nil {
			return VMRef{}, err
		}
	}
	return s.VM(ref.Value)
}

// VM is the current state of a VM.
func (s *Site) VM(vm string) (VMRef, error) {
	o, v, err := s.find(vm)
	if err != nil {
		return VMRef{}, err
	}
	ev := s.event(s.context(), o, v, v.on)
	return VMRef{Ref: v.ref, Name: v.name, UUID: v.uuid, Host: ev.Host, Disks: ev.Disks}, nil
}

func (s *Site) configSpec(spec VMSpec) (types.VirtualMachineConfigSpec, error) {
	ds := cmp.Or(spec.Datastore, s.Datastores()[0])
	c := types.VirtualMachineConfigSpec{
		Name: spec.Name, GuestId: cmp.Or(spec.GuestID, string(types.VirtualMachineGuestOsIdentifierOtherGuest64)),
		NumCPUs: cmp.Or(spec.CPUs, 1), MemoryMB: cmp.Or(spec.MemoryMB, 128), Firmware: spec.Firmware, Version: spec.Version,
		Annotation: spec.Annotation, Files: &types.VirtualMachineFileInfo{VmPathName: "[" + ds + "]"},
	}
	if spec.SecureBoot {
		c.BootOptions = &types.VirtualMachineBootOptions{EfiSecureBootEnabled: types.NewBool(true)}
	}
	if spec.CBT {
		c.ChangeTrackingEnabled = types.NewBool(true)
	}
	for k, v := range spec.Extra {
		c.ExtraConfig = append(c.ExtraConfig, &types.OptionValue{Key: k, Value: v})
	}
	var list object.VirtualDeviceList
	controllers := map[string]types.BaseVirtualController{}
	for i, d := range spec.Disks {
		kind := cmp.Or(d.Controller, "pvscsi")
		ctl := controllers[kind]
		if ctl == nil {
			dev, err := newController(list, kind)
			if err != nil {
				return c, err
			}
			list = append(list, dev)
			ctl = dev.(types.BaseVirtualController)
			controllers[kind] = ctl
		}
		// We choose the file name: the simulator may give several disks the same.
		where := cmp.Or(d.Datastore, ds)
		file := spec.Name
		if i > 0 {
			file = fmt.Sprintf("%s_%d", spec.Name, i)
		}
		disk := list.CreateDisk(ctl, types.ManagedObjectReference{}, fmt.Sprintf("[%s] %s/%s.vmdk", where, spec.Name, file))
		disk.CapacityInBytes, disk.CapacityInKB = d.Size, d.Size/1024
		disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).DiskMode = cmp.Or(d.Mode, string(types.VirtualDiskModePersistent))
		list = append(list, disk)
		if where != ds {
			if dir, err := s.local("[" + where + "] " + spec.Name); err == nil {
				if err = os.MkdirAll(dir, 0o755); err != nil {
					return c, err
				}
			}
		}
	}
	for _, n := range spec.NICs {
		nic, err := list.CreateEthernetCard(cmp.Or(n.Kind, "vmxnet3"), s.networkBacking(cmp.Or(n.Network, "VM Network")))
		if err != nil {
			return c, err
		}
		if n.MAC != "" {
			card := nic.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
			card.MacAddress, card.AddressType = n.MAC, string(types.VirtualEthernetCardMacTypeManual)
		}
		list = append(list, nic)
	}
	var err error
	c.DeviceChange, err = list.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	return c, err
}

func newController(list object.VirtualDeviceList, kind string) (types.BaseVirtualDevice, error) {
	switch kind {
	case "nvme":
		return list.CreateNVMEController()
	case "ide":
		return list.CreateIDEController()
	}
	return list.CreateSCSIController(kind)
}

// folder is a VM folder by path; it is made if missing.
func (s *Site) folder(p string) types.ManagedObjectReference {
	reg := s.registry()
	at := reg.Any("Datacenter").(*simulator.Datacenter).VmFolder
	for name := range strings.SplitSeq(p, "/") {
		if name == "" {
			continue
		}
		f := reg.Get(at).(*simulator.Folder)
		if e := reg.FindByName(name, f.ChildEntity); e != nil {
			at = e.Reference()
			continue
		}
		res, err := methods.CreateFolder(insideContext(), s.svc, &types.CreateFolder{This: at, Name: name})
		if err != nil {
			return at
		}
		at = res.Returnval
	}
	return at
}
