package vmpolicy

import (
	"slices"

	"tidemark.dev/pkg/contract/inventory"
)

// Privileges are those that Tidemark's user needs for these roles, with those that
// every site needs; without roles, for all. They are needed on the root folder
// and must propagate to its children. The documentation's table and the site
// check are both made from this one.
func Privileges(roles ...inventory.Role) []inventory.Privilege {
	table := []inventory.Privilege{
		{ID: "VirtualMachine.Config.AddExistingDisk", Role: inventory.Every, Purpose: "attach disks to the transporter, to read and write them"},
		{ID: "VirtualMachine.Config.RemoveDisk", Role: inventory.Every, Purpose: "detach disks from the transporter"},
		{ID: "VirtualMachine.Config.AddRemoveDevice", Role: inventory.Every, Purpose: "give the transporter disk controllers, and replicas controllers and network cards"},
		{ID: "VirtualMachine.Config.EditDevice", Role: inventory.Every, Purpose: "attach I/O filters to disks, and connect network cards to networks"},
		{ID: "VirtualMachine.Config.Settings", Role: inventory.Every, Purpose: "make VMs like their sources"},
		{ID: "VirtualMachine.Config.AdvancedConfig", Role: inventory.Every, Purpose: "mark the VMs that Tidemark made, and show disk UUIDs to the transporter"},
		{ID: "VirtualMachine.Interact.PowerOff", Role: inventory.Every, Purpose: "power off VMs that a failover or test started, sources whose replicas run, and what a plan says"},
		{ID: "VirtualMachine.Interact.PowerOn", Role: inventory.Every, Purpose: "power on replicas, transporters, and what a plan says"},
		{ID: "VirtualMachine.State.CreateSnapshot", Role: inventory.Every, Purpose: "freeze disks for reading, and a replica before a failover starts it"},
		{ID: "VirtualMachine.State.RemoveSnapshot", Role: inventory.Every, Purpose: "remove those snapshots"},
		{ID: "Global.DisableMethods", Role: inventory.Every, Purpose: "forbid powering on a replica while it replicates, and a source while a failover runs its replica"},
		{ID: "Global.EnableMethods", Role: inventory.Every, Purpose: "allow it again"},
		{ID: "Datastore.Browse", Role: inventory.Every, Purpose: "find disk files"},

		{ID: "VirtualMachine.Config.ChangeTracking", Role: inventory.AsSource, Purpose: "turn changed-block tracking on"},
		{ID: "VirtualMachine.Provisioning.DiskRandomRead", Role: inventory.AsSource, Purpose: "query changed blocks"},
		{ID: "Host.Config.AutoStart", Role: inventory.AsSource, Purpose: "keep a host from starting a source while a failover runs its replica"},
		{ID: "Host.Inventory.EditCluster", Role: inventory.AsSource, Purpose: "keep vSphere HA from restarting a source while a failover runs its replica"},

		{ID: "VirtualMachine.Inventory.Create", Role: inventory.AsTarget, Purpose: "make replica VMs"},
		{ID: "VirtualMachine.Inventory.Delete", Role: inventory.AsTarget, Purpose: "remove replica and test VMs"},
		{ID: "VirtualMachine.Config.AddNewDisk", Role: inventory.AsTarget, Purpose: "make replica VMs"},
		{ID: "VirtualMachine.Config.DiskExtend", Role: inventory.AsTarget, Purpose: "extend a replica's disk when its source was extended"},
		{ID: "VirtualMachine.Config.CPUCount", Role: inventory.AsTarget, Purpose: "match a replica's hardware to its source"},
		{ID: "VirtualMachine.Config.Memory", Role: inventory.AsTarget, Purpose: "match a replica's hardware to its source"},
		{ID: "VirtualMachine.Config.Rename", Role: inventory.AsTarget, Purpose: "name replicas"},
		{ID: "VirtualMachine.Config.Annotation", Role: inventory.AsTarget, Purpose: "annotate replicas"},
		{ID: "VirtualMachine.Config.Resource", Role: inventory.AsTarget, Purpose: "match a replica's hardware to its source"},
		{ID: "VirtualMachine.State.RevertToSnapshot", Role: inventory.AsTarget, Purpose: "undo a failover: discard what the VM wrote"},
		{ID: "VirtualMachine.Interact.DeviceConnection", Role: inventory.AsTarget, Purpose: "connect network cards"},
		{ID: "VirtualMachine.Provisioning.Customize", Role: inventory.AsTarget, Purpose: "configure a replica's addresses at the target"},
		{ID: "Resource.AssignVMToPool", Role: inventory.AsTarget, Purpose: "put replicas into a resource pool"},
		{ID: "Network.Assign", Role: inventory.AsTarget, Purpose: "connect replicas to networks"},
		{ID: "Datastore.AllocateSpace", Role: inventory.AsTarget, Purpose: "make replica disks"},
		{ID: "Datastore.FileManagement", Role: inventory.AsTarget, Purpose: "make and delete replica disks"},

		{ID: "Host.Config.Patch", Role: inventory.ForFilter, Purpose: "install, upgrade and remove I/O filters"},
		{ID: "StorageProfile.View", Role: inventory.ForFilter, Purpose: "find the storage policy that attaches a filter"},

		{ID: "VApp.Import", Role: inventory.ForAppliance, Purpose: "upload the transporter's OVA"},
		{ID: "VApp.ApplicationConfig", Role: inventory.ForAppliance, Purpose: "configure the transporter"},
		{ID: "VirtualMachine.Inventory.Create", Role: inventory.ForAppliance, Purpose: "make the transporter's VM"},
		{ID: "VirtualMachine.Config.AddNewDisk", Role: inventory.ForAppliance, Purpose: "make the transporter's disks"},
		{ID: "Resource.AssignVMToPool", Role: inventory.ForAppliance, Purpose: "put the transporter into a resource pool"},
		{ID: "Network.Assign", Role: inventory.ForAppliance, Purpose: "connect the transporter to networks"},
		{ID: "Datastore.AllocateSpace", Role: inventory.ForAppliance, Purpose: "make the transporter's disks"},

		{ID: "VirtualMachine.GuestOperations.Execute", Role: inventory.ForGuests, Purpose: "run the script that sets a guest's addresses, and those of plans"},
		{ID: "VirtualMachine.GuestOperations.Modify", Role: inventory.ForGuests, Purpose: "put such a script into the guest, and remove it"},
		{ID: "VirtualMachine.GuestOperations.Query", Role: inventory.ForGuests, Purpose: "read how it ended"},
	}
	if len(roles) == 0 {
		return table
	}
	return slices.DeleteFunc(table, func(p inventory.Privilege) bool {
		return p.Role != inventory.Every && !slices.Contains(roles, p.Role)
	})
}
