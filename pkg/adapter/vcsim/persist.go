package vcsim

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// A site that is started on the directory of an earlier one is the same vCenter:
// same UUIDs, certificate, datastores and VMs. The VMs are off, have new
// references, and no snapshots, which are consolidated. Tags, filters and
// customization are lost.

// saved is a VM in Dir/vms/<instance UUID>.json.
type saved struct {
	Folder  string // below the VM folder
	Host    string
	Spec    types.VirtualMachineConfigSpec
	Derived []string // descriptors of child nodes, to be removed
}

func (s *Site) savedFile(id string) string { return filepath.Join(s.cfg.Dir, "vms", id+".json") }

// encode is the form in which a VM is saved; the VM is locked.
func (s *Site) encode(ctx *simulator.Context, vm *simulator.VirtualMachine) []byte {
	c := vm.Config
	v := saved{Folder: folderPath(ctx, vm), Spec: types.VirtualMachineConfigSpec{
		Name: vm.Name, Uuid: c.Uuid, InstanceUuid: c.InstanceUuid, Version: c.Version, GuestId: c.GuestId, Annotation: c.Annotation,
		Files: &types.VirtualMachineFileInfo{VmPathName: c.Files.VmPathName}, NumCPUs: c.Hardware.NumCPU, MemoryMB: int64(c.Hardware.MemoryMB),
		Firmware: c.Firmware, BootOptions: c.BootOptions, ChangeTrackingEnabled: c.ChangeTrackingEnabled, ExtraConfig: c.ExtraConfig,
	}}
	if vm.Runtime.Host != nil {
		if h, ok := ctx.Map.Get(*vm.Runtime.Host).(*simulator.HostSystem); ok {
			v.Host = h.Name
		}
	}
	devices := copyDisks(c.Hardware.Device, func(d *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		s.mu.Lock()
		defer s.mu.Unlock()
		d.Iofilter, b.Parent = nil, nil
		if im := s.images[canonical(b.FileName)]; im != nil && !nonpersistent(b.DiskMode) {
			for _, n := range im.nodes {
				if n.name != im.base {
					v.Derived = append(v.Derived, n.name)
				}
			}
			b.FileName = im.base
		}
	})
	for _, d := range devices {
		own := !slices.ContainsFunc(esx.VirtualDevice, func(x types.BaseVirtualDevice) bool {
			return x.GetVirtualDevice().Key == d.GetVirtualDevice().Key
		})
		if x, ok := d.(*types.VirtualDisk); ok && flat(x) != nil && nonpersistent(flat(x).DiskMode) {
			own = false // it read a snapshot that will be gone
		}
		if own {
			v.Spec.DeviceChange = append(v.Spec.DeviceChange, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: d})
		}
	}
	var buf bytes.Buffer
	if types.NewJSONEncoder(&buf).Encode(v) != nil {
		return nil
	}
	return buf.Bytes()
}

func folderPath(ctx *simulator.Context, vm *simulator.VirtualMachine) string {
	var names []string
	for at := vm.Parent; at != nil; {
		f, ok := ctx.Map.Get(*at).(*simulator.Folder)
		if !ok || f.Parent == nil || f.Parent.Type == "Datacenter" {
			break
		}
		names = append(names, f.Name)
		at = f.Parent
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// writeFile replaces a file atomically.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// restore recreates the saved VMs.
func (s *Site) restore() error {
	dir := filepath.Join(s.cfg.Dir, "vms")
	for _, e := range dirEntries(filepath.Join(s.cfg.Dir, "frozen")) {
		_ = os.Remove(filepath.Join(s.cfg.Dir, "frozen", e))
	}
	for _, e := range dirEntries(dir) {
		data, err := os.ReadFile(filepath.Join(dir, e))
		if err != nil || filepath.Ext(e) != ".json" {
			continue
		}
		var v saved
		if err = types.NewJSONDecoder(bytes.NewReader(data)).Decode(&v); err != nil {
			return err
		}
		if err = s.restoreVM(v); err != nil {
			return errors.Join(errors.New("restore "+v.Spec.Name), err)
		}
	}
	return nil
}

func (s *Site) restoreVM(v saved) error {
	for _, name := range v.Derived {
		if file, err := s.local(name); err == nil {
			_ = os.Remove(file)
		}
	}
	if file, err := s.local(v.Spec.Files.VmPathName); err == nil { // they are made again
		dir := filepath.Dir(file)
		for _, f := range []string{file, filepath.Join(dir, "vmware.log"), filepath.Join(dir, v.Spec.Name+".nvram")} {
			_ = os.Remove(f)
		}
	}
	req := types.CreateVM_Task{This: s.folder(v.Folder), Config: v.Spec}
	for _, e := range s.registry().All("ResourcePool") {
		req.Pool = e.Reference()
	}
	if h, err := s.host(v.Host); err == nil {
		req.Host = &h.Self
	}
	t, err := methods.CreateVM_Task(insideContext(), s.svc, &req)
	if err != nil {
		return err
	}
	_, err = s.wait(t.Returnval, nil)
	return err
}

// identity is what makes a restarted site the same one.
type identity struct {
	InstanceUUID string
	Cert, Key    []byte // PEM
}

// identify loads the site's identity, or makes one.
func (s *Site) identify() error {
	file := filepath.Join(s.cfg.Dir, "identity.json")
	var id identity
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &id)
	}
	if err == nil {
		s.instance = id.InstanceUUID
		s.cert, err = tls.X509KeyPair(id.Cert, id.Key)
		return err
	}
	if !os.IsNotExist(err) {
		return err
	}
	if s.cert, err = newCert(s.cfg.Name, s.cfg.Listen); err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(s.cert.PrivateKey)
	if err != nil {
		return err
	}
	s.instance = uuid.NewString()
	data, err = json.Marshal(identity{s.instance, s.CertPEM(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})})
	if err != nil {
		return err
	}
	return writeFile(file, data)
}
