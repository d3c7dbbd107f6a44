package vcsim

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
)

// Config is the configuration of a site. The zero value, with a Dir, is a vCenter
// with one cluster of two hosts and two datastores.
type Config struct {
	// Name names the site; host, cluster and datastore names begin with it, and
	// every UUID and the certificate differ between two sites. Default "vc".
	Name string
	// Dir holds everything on disk. Made if missing.
	Dir string
	// Listen is host:port. Default 127.0.0.1:0.
	Listen string
	// User and Password are the only login. Default administrator@vsphere.local
	// and Tidemark-1!.
	User, Password string
	// Hosts are in one cluster. Default 2. An ESX site has one.
	Hosts int
	// Datastores are mounted on every host. Default 2.
	Datastores int
	// DatastoreNames are their names instead, as a vCenter's answers have them: with
	// slash, backslash and percent sign escaped.
	DatastoreNames []string
	// ESX makes the site a standalone host: no cluster, no I/O filter manager.
	ESX bool
	// Devices is where the disks of powered-on VMs appear as block devices would:
	// <Devices>/<vm name>/wwn-0x<32 hex digits of the disk's UUID>, a symlink to
	// the local file. Default Dir/dev.
	Devices string
	// OnPower is called before a VM's power state changes. An error fails the
	// task. It must not call the VM's API: the VM is locked.
	OnPower func(PowerEvent) error
	// OnSnapshot is called when a running VM is snapshotted. It calls freeze once,
	// at a moment without guest writes in flight.
	OnSnapshot func(ev PowerEvent, freeze func() error) error
	// OnFilter is called when an I/O filter is attached to or detached from a
	// disk of a VM, and for each filtered disk after OnPower has let a VM start
	// (attached is true then).
	OnFilter func(ev PowerEvent, diskKey int32, filter string, params map[string]string, attached bool)
	// OnProgram runs a program that a client starts in a guest, and that is no shell;
	// nil: guests have none.
	OnProgram func(GuestProgram)
	// CBTMaxExtents limits the extents of one QueryChangedDiskAreas answer.
	// 0 is no limit.
	CBTMaxExtents int
	// RevertKeepsCBT makes a revert take a disk's change id back to the snapshot's, as
	// some hosts do. Otherwise tracking starts anew.
	RevertKeepsCBT bool
}

// PowerEvent is a VM with everything that a hypervisor needs to run it.
type PowerEvent struct {
	// On is false when the VM is powered off.
	On bool
	// VM is the name, UUID the instance UUID, Ref the managed object's value.
	VM, UUID, Ref string
	Host          string
	Firmware      string
	CPUs          int32
	MemoryMB      int64
	Disks         []PowerDisk
	NICs          []PowerNIC
	// Extra is the extraConfig, with guestinfo.*.
	Extra map[string]string
}

// PowerDisk is one disk of a VM. Flat is the local file with its bytes.
type PowerDisk struct {
	Label   string
	Key     int32
	UUID    string
	File    string // datastore path
	Flat    string
	Size    int64
	Mode    string
	Filters []string
}

// PowerNIC is one network card of a VM.
type PowerNIC struct {
	Key     int32
	Kind    string // e.g. VirtualVmxnet3
	MAC     string
	Network string
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, fmt.Errorf("vspheretest: Config.Dir is empty")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, err
	}
	c.Dir = dir
	c.Name = cmp.Or(c.Name, "vc")
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:0")
	c.User = cmp.Or(c.User, "administrator@vsphere.local")
	c.Password = cmp.Or(c.Password, "Tidemark-1!")
	c.Hosts = cmp.Or(c.Hosts, 2)
	c.Datastores = cmp.Or(c.Datastores, 2)
	if c.ESX {
		c.Hosts = 1
	}
	c.Devices = cmp.Or(c.Devices, filepath.Join(c.Dir, "dev"))
	for _, d := range []string{c.Dir, c.Devices, filepath.Join(c.Dir, "frozen"), filepath.Join(c.Dir, "tmp")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return c, err
		}
	}
	return c, nil
}
