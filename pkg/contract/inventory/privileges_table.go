package inventory

import "slices"

// Privileges is what Tidemark's user needs for these roles, besides what every
// site needs; without roles, for all. All are needed on the root folder, to be
// passed on to what is below. It is what a role at the vCenter is made of, and
// what is checked.
func Privileges(roles ...Role) []Privilege {
	table := []Privilege{
		{ID: "VirtualMachine.Config.AddExistingDisk", Role: Every, Purpose: "attach disks to the transporter, to read and write them"},
		{ID: "VirtualMachine.Config.RemoveDisk", Role: Every, Purpose: "detach disks from the transporter"},
		{ID: "VirtualMachine.Config.AddRemoveDevice", Role: Every, Purpose: "give the transporter disk controllers, and replicas controllers and network cards"},
		{ID: "VirtualMachine.Config.EditDevice", Role: Every, Purpose: "let an I/O filter see a disk, and put network cards on networks"},
		{ID: "VirtualMachine.Config.Settings", Role: Every, Purpose: "make VMs like their sources"},
		{ID: "VirtualMachine.Config.AdvancedConfig", Role: Every, Purpose: "mark the VMs that are Tidemark's, and show their disks' UUIDs to the transporter"},
		{ID: "VirtualMachine.Interact.PowerOff", Role: Every, Purpose: "turn VMs off that a failover or a test started"},
		{ID: "VirtualMachine.Interact.PowerOn", Role: Every, Purpose: "start replicas and transporters"},
		{ID: "VirtualMachine.State.CreateSnapshot", Role: Every, Purpose: "freeze disks to read them, and a replica before a failover starts it"},
		{ID: "VirtualMachine.State.RemoveSnapshot", Role: Every, Purpose: "remove what was frozen"},
		{ID: "Datastore.Browse", Role: Every, Purpose: "find disk files"},

		{ID: "VirtualMachine.Config.ChangeTracking", Role: AsSource, Purpose: "let the host note which blocks change"},
		{ID: "VirtualMachine.Provisioning.DiskRandomRead", Role: AsSource, Purpose: "ask which blocks changed"},

		{ID: "VirtualMachine.Inventory.Create", Role: AsTarget, Purpose: "make replica VMs"},
		{ID: "VirtualMachine.Inventory.Delete", Role: AsTarget, Purpose: "remove replica and test VMs"},
		{ID: "VirtualMachine.Config.AddNewDisk", Role: AsTarget, Purpose: "make replica VMs"},
		{ID: "VirtualMachine.Config.CPUCount", Role: AsTarget, Purpose: "keep a replica's hardware like its source's"},
		{ID: "VirtualMachine.Config.Memory", Role: AsTarget, Purpose: "keep a replica's hardware like its source's"},
		{ID: "VirtualMachine.Config.Rename", Role: AsTarget, Purpose: "name a replica as it is configured"},
		{ID: "VirtualMachine.Config.Annotation", Role: AsTarget, Purpose: "say in a VM's notes that it is a replica"},
		{ID: "VirtualMachine.Config.Resource", Role: AsTarget, Purpose: "keep a replica's hardware like its source's"},
		{ID: "VirtualMachine.State.RevertToSnapshot", Role: AsTarget, Purpose: "take a failover back: what the VM wrote is thrown away"},
		{ID: "VirtualMachine.Interact.DeviceConnection", Role: AsTarget, Purpose: "connect network cards"},
		{ID: "VirtualMachine.Provisioning.Customize", Role: AsTarget, Purpose: "give a replica its addresses at the target"},
		{ID: "Resource.AssignVMToPool", Role: AsTarget, Purpose: "put replicas into a resource pool"},
		{ID: "Network.Assign", Role: AsTarget, Purpose: "put replicas on networks"},
		{ID: "Datastore.AllocateSpace", Role: AsTarget, Purpose: "make replica disks"},
		{ID: "Datastore.FileManagement", Role: AsTarget, Purpose: "make and delete replica disks"},
		{ID: "Global.DisableMethods", Role: AsTarget, Purpose: "forbid that somebody starts a VM that replicates"},
		{ID: "Global.EnableMethods", Role: AsTarget, Purpose: "allow it again at a failover"},

		{ID: "Host.Config.Patch", Role: ForFilter, Purpose: "install, upgrade and remove I/O filters"},
		{ID: "StorageProfile.View", Role: ForFilter, Purpose: "find the storage policy that puts a filter on disks"},

		{ID: "VApp.Import", Role: ForAppliance, Purpose: "upload the transporter's OVA"},
		{ID: "VApp.ApplicationConfig", Role: ForAppliance, Purpose: "set the transporter up"},
		{ID: "VirtualMachine.Inventory.Create", Role: ForAppliance, Purpose: "make the transporter's VM"},
		{ID: "VirtualMachine.Config.AddNewDisk", Role: ForAppliance, Purpose: "make the transporter's disks"},
		{ID: "Resource.AssignVMToPool", Role: ForAppliance, Purpose: "put the transporter into a resource pool"},
		{ID: "Network.Assign", Role: ForAppliance, Purpose: "put the transporter on networks"},
		{ID: "Datastore.AllocateSpace", Role: ForAppliance, Purpose: "make the transporter's disks"},
	}
	if len(roles) == 0 {
		return table
	}
	return slices.DeleteFunc(table, func(p Privilege) bool {
		return p.Role != Every && !slices.Contains(roles, p.Role)
	})
}
