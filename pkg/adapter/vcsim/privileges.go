package vcsim

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// needs are the privileges of the methods that replication uses, after the
// vSphere security guide's table.
var needs = map[string][]string{
	"CreateVM_Task":               {"VirtualMachine.Inventory.Create", "Resource.AssignVMToPool"},
	"RegisterVM_Task":             {"VirtualMachine.Inventory.Register"},
	"UnregisterVM":                {"VirtualMachine.Inventory.Unregister"},
	"Destroy_Task":                {"VirtualMachine.Inventory.Delete"},
	"PowerOnVM_Task":              {"VirtualMachine.Interact.PowerOn"},
	"PowerOffVM_Task":             {"VirtualMachine.Interact.PowerOff"},
	"ShutdownGuest":               {"VirtualMachine.Interact.PowerOff"},
	"ResetVM_Task":                {"VirtualMachine.Interact.Reset"},
	"CreateSnapshot_Task":         {"VirtualMachine.State.CreateSnapshot"},
	"CreateSnapshotEx_Task":       {"VirtualMachine.State.CreateSnapshot"},
	"RemoveSnapshot_Task":         {"VirtualMachine.State.RemoveSnapshot"},
	"RemoveAllSnapshots_Task":     {"VirtualMachine.State.RemoveSnapshot"},
	"ConsolidateVMDisks_Task":     {"VirtualMachine.State.RemoveSnapshot"},
	"RevertToSnapshot_Task":       {"VirtualMachine.State.RevertToSnapshot"},
	"QueryChangedDiskAreas":       {"VirtualMachine.Provisioning.DiskRandomRead"},
	"CustomizeVM_Task":            {"VirtualMachine.Provisioning.Customize"},
	"CloneVM_Task":                {"VirtualMachine.Provisioning.Clone"},
	"MigrateVM_Task":              {"Resource.HotMigrate"},
	"RelocateVM_Task":             {"Resource.HotMigrate"},
	"ImportVApp":                  {"VApp.Import"},
	"CreateVirtualDisk_Task":      {"Datastore.FileManagement"},
	"CopyVirtualDisk_Task":        {"Datastore.FileManagement"},
	"MoveVirtualDisk_Task":        {"Datastore.FileManagement"},
	"ExtendVirtualDisk_Task":      {"Datastore.FileManagement"},
	"DeleteVirtualDisk_Task":      {"Datastore.FileManagement"},
	"QueryVirtualDiskUuid":        {"Datastore.FileManagement"},
	"DeleteDatastoreFile_Task":    {"Datastore.FileManagement"},
	"MakeDirectory":               {"Datastore.FileManagement"},
	"SearchDatastore_Task":        {"Datastore.Browse"},
	"CreateFolder":                {"Folder.Create"},
	"DisableMethods":              {"Global.DisableMethods"},
	"EnableMethods":               {"Global.EnableMethods"},
	"ReconfigureAutostart":        {"Host.Config.AutoStart"},
	"InstallIoFilter_Task":        {"Host.Config.Patch"},
	"UninstallIoFilter_Task":      {"Host.Config.Patch"},
	"UpgradeIoFilter_Task":        {"Host.Config.Patch"},
	"EnterMaintenanceMode_Task":   {"Host.Config.Maintenance"},
	"ExitMaintenanceMode_Task":    {"Host.Config.Maintenance"},
	"StartProgramInGuest":         {"VirtualMachine.GuestOperations.Execute"},
	"InitiateFileTransferToGuest": {"VirtualMachine.GuestOperations.Modify"},
	"MakeDirectoryInGuest":        {"VirtualMachine.GuestOperations.Modify"},
	"DeleteDirectoryInGuest":      {"VirtualMachine.GuestOperations.Modify"},
	"ChangeFileAttributesInGuest": {"VirtualMachine.GuestOperations.Modify"},
	"ListFilesInGuest":            {"VirtualMachine.GuestOperations.Query"},
	"ListProcessesInGuest":        {"VirtualMachine.GuestOperations.Query"},

	"ReconfigureComputeResource_Task": {"Host.Inventory.EditCluster"},
}

func privileges(m *simulator.Method) []string {
	if r, ok := m.Body.(*types.ReconfigVM_Task); ok {
		return reconfigurePrivileges(&r.Spec)
	}
	return needs[m.Name]
}

func reconfigurePrivileges(c *types.VirtualMachineConfigSpec) []string {
	var p []string
	for _, bc := range c.DeviceChange {
		d := bc.GetVirtualDeviceConfigSpec()
		_, disk := d.Device.(*types.VirtualDisk)
		switch {
		case !disk:
			p = append(p, "VirtualMachine.Config.AddRemoveDevice")
		case d.Operation == types.VirtualDeviceConfigSpecOperationAdd && d.FileOperation == "":
			p = append(p, "VirtualMachine.Config.AddExistingDisk")
		case d.Operation == types.VirtualDeviceConfigSpecOperationAdd:
			p = append(p, "VirtualMachine.Config.AddNewDisk", "Datastore.AllocateSpace")
		case d.Operation == types.VirtualDeviceConfigSpecOperationRemove:
			p = append(p, "VirtualMachine.Config.RemoveDisk")
		case disk && len(d.Profile) == 0:
			p = append(p, "VirtualMachine.Config.EditDevice", "VirtualMachine.Config.DiskExtend")
		default:
			p = append(p, "VirtualMachine.Config.EditDevice")
		}
		if len(d.Profile) > 0 {
			p = append(p, "StorageProfile.Apply")
		}
	}
	if c.ChangeTrackingEnabled != nil {
		p = append(p, "VirtualMachine.Config.ChangeTracking")
	}
	if len(c.ExtraConfig) > 0 {
		p = append(p, "VirtualMachine.Config.AdvancedConfig")
	}
	if c.Annotation != "" {
		p = append(p, "VirtualMachine.Config.Annotation")
	}
	if c.Name != "" {
		p = append(p, "VirtualMachine.Config.Rename")
	}
	if c.NumCPUs != 0 {
		p = append(p, "VirtualMachine.Config.CPUCount")
	}
	if c.MemoryMB != 0 {
		p = append(p, "VirtualMachine.Config.Memory")
	}
	return p
}
