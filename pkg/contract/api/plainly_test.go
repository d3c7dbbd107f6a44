package api_test

// plainly says what a field is that needs no comment in the sources, by its name in JSON,
// or by that and the name of its struct where the name alone does not tell.
var plainly = map[string]string{
	"MoveReply.done": "Whether it is done.", "Progress.done": "Whether it is done.", "VMRunReply.done": "Whether it is done.",
	"VMRun.name": "The VM's name.", "TargetDisk.name": "The disk's name.", "Disk.name": "The disk's name.", "ExportDisk.name": "The disk's name.",
	"Place.name": "The name.", "Place.path": "The inventory path.", "Selector.name": "The VM's name.", "Selector.path": "The VM's inventory path.",
	"TargetDisk.path": "The image file or block device.", "DiskFacts.path": "The path.", "FrozenDisk.path": "The device at the transporter.",
	"VMMember.path": "The VM's inventory path.", "TwinsVM.path": "The VM's inventory path.", "FilterDisk.path": "The VM's inventory path.",
	"DeployRequest.name": "The name of the VM.", "RemoveRequest.name": "The name of the VM.", "ApplyReply.name": "The name of what the document describes.",
	"Appliance.name": "The VM's name.", "Clock.name": "The host's name.", "Filter.name": "The filter's name.", "FilterHost.name": "The host's name.", "Snapshot.name": "The snapshot's name.",
	"Export.id": "The export's name.", "CloseRequest.id": "The export's name.", "Filter.id": "The filter's id.",
	"Datastore.accessible": "Whether its hosts can reach it.", "Disk.controller": "The device key of its controller.", "Filter.version": "The filter's version.",
	"GroupStatus.points": "How many recovery points there are.", "PlanFinding.text": "What was found.", "SumsRequest.off": "Where the range begins, in bytes.",
	"PlanFinding.rule": "The rule of the check.", "Problem.rule": "The rule that is broken.", "SiteCheck.problems": "What is wrong, as texts.",
	"FilterRequest.cluster": "The cluster's name or path.", "FiltersReply.cluster": "The cluster.",
	"ClockReply.sent": "Nanoseconds since 1970, on the clock of the service.", "EditPointRequest.delete": "Whether to delete the point.",

	"group": "The protection group, which has the name of its job.",

	"answers": "Whether the site answered.", "at": "When that was.", "attach": "Whether to attach the filter; otherwise it is detached.", "biosUuid": "The BIOS UUID.",
	"boundNanos": "The error bound of the time, in nanoseconds; 0: not measured.", "budgetBytes": "How many bytes there are for all groups.", "build": "The build number.",
	"bus": "The number of its bus.", "changeId": "The changed-block tracking id of the frozen disk.", "cpuHotAdd": "Whether CPUs can be added while it runs.", "cpus": "How many virtual CPUs it has.",
	"created": "When it was made.", "datastore": "The datastore.", "dirtyBytes": "How many bytes have changed and are still to be sent.", "disk": "The disk's name.", "dns": "The addresses of its name servers.",
	"entity": "The object that the privilege is missing on.", "folder": "The VM folder.", "forNanos": "How long the lock holds what is stored, in nanoseconds.", "freeBytes": "How many bytes are free where the journal is.",
	"from": "The offset to begin at, in bytes.", "gateway": "The address of its default gateway.", "has": "Whether it can be read.", "hint": "What to do.", "host": "The ESXi host.", "hostName": "The guest's host name.",
	"job": "The job.", "key": "The device key.", "known": "Paths of which only the identity matters.", "label": "The label, such as Network adapter 1.", "mac": "The MAC address.", "maintenance": "Whether the host is in maintenance mode.",
	"memoryHotAdd": "Whether memory can be added while it runs.", "memoryMB": "The memory, in MiB.", "more": "Whether there are more after the last one.", "n": "The length, in bytes.", "netName": "The network's name.",
	"network": "The network.", "note": "What is noted of it.", "off": "The offset, in bytes.", "ok": "Whether it passed.", "pass": "The pass that it is for.", "paths": "The image files or block devices, by disk.",
	"perSocket": "How many cores a socket has.", "pinned": "Whether retention keeps the point.", "plan": "The plan.", "point": "The recovery point: its id, a tag, or latest.", "privilege": "The privilege, as vSphere names it.",
	"purpose": "What it is for.", "reason": "Why.", "replica": "The replica VM's name.", "run": "The failover run.", "running": "Whether it runs.", "scratch": "Whether it can be written to.", "secureBoot": "Whether secure boot is on.",
	"signature": "The signature, in base64.", "since": "The change id to begin from, or * for all allocated areas.", "size": "The size, in bytes.", "tags": "The tags of the point.", "template": "Whether it is a template.",
	"text": "What is the matter, as a text.", "thin": "Whether it is thin provisioned.", "time": "When that was, in target time.", "toolsRunning": "Whether VMware Tools run.", "trouble": "What does not work; empty: nothing.",
	"unit": "Its slot at the controller.", "uuid": "The instance UUID.", "vbs": "Whether virtualization-based security is on.", "vendor": "Who made it.", "version": "The version.", "vm": "The VM.", "filter": "The filter's id or name.",
}
