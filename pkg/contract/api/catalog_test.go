package api_test

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/failoverrun"
)

// call is an endpoint: what it does in a sentence, what it takes and what it answers.
type call struct {
	service, endpoint, does string
	request, answer         any
}

// catalog is every endpoint there is.
func catalog() (all []call) {
	for service, calls := range map[string][]call{
		subjects.Setup: setupCalls, subjects.Capture: captureCalls, subjects.Journal: journalCalls, subjects.Scheduler: schedulerCalls,
		subjects.Failover: failoverCalls, subjects.Orchestrator: orchestratorCalls, subjects.VCenter: vcenterCalls,
	} {
		for _, c := range calls {
			c.service = service
			all = append(all, c)
		}
	}
	return all
}

var setupCalls = []call{
	{"", api.BusApply, "Make the streams and consumers of the site what they are declared to be.", api.BusApplyRequest{}, api.BusApplyReply{}},
	{"", api.FramesEnsure, "Make the frame stream of a group and the consumer of its target, or set the size of a stream that is there.", api.FramesRequest{}, api.Empty{}},
	{"", api.FramesRecreate, "Replace the frame stream of a group by an empty one that begins with a frame number.", api.FramesRequest{}, api.Empty{}},
	{"", api.FramesResize, "Set how many bytes the frame stream of a group may hold.", api.FramesRequest{}, api.Empty{}},
	{"", api.FramesPurge, "Remove the frames of a group that come before a frame number.", api.FramesRequest{}, api.Empty{}},
	{"", api.FramesDelete, "Remove the frame stream of a group, if there is one.", api.FramesRequest{}, api.Empty{}},
	{"", api.FramesHas, "Say whether a frame of a group can be read.", api.FramesRequest{}, api.FramesReply{}},
}

var captureCalls = []call{
	{"", api.CaptureStatus, "Say how the groups that are captured here are doing.", api.GroupRequest{}, api.CaptureStatusReply{}},
	{"", api.CaptureSpool, "Say how the room for frames that wait to be sent is divided among the groups.", api.Empty{}, api.SpoolUse{}},
	{"", api.CaptureClock, "Measure how far two clocks are apart.", api.ClockRequest{}, api.ClockReply{}},
	{"", api.CaptureMarks, "Make recovery points that are due.", api.MarksRequest{}, api.Empty{}},
	{"", api.CaptureDrain, "Close the open frame: the last one of a planned failover.", api.DrainRequest{}, api.DrainReply{}},
	{"", api.CaptureDisks, "Say what is at some paths of this machine, for disks of sources.", api.DisksRequest{}, api.DisksReply{}},
	{"", api.CaptureCopyStarted, "The client of a tapped disk begins a full copy.", api.DiskRequest{}, api.Empty{}},
	{"", api.CaptureSynced, "The client of a tapped disk has copied all of it.", api.DiskRequest{}, api.Empty{}},
	{"", api.CaptureLive, "From now on the tap of a disk reports every write.", api.DiskRequest{}, api.Empty{}},
	{"", api.CaptureUnlive, "Soon the tap of a disk reports no write.", api.DiskRequest{}, api.Empty{}},
}

var journalCalls = []call{
	{"", api.JournalStatus, "Say how the journals of the groups are doing.", api.GroupRequest{}, api.StatusReply{}},
	{"", api.JournalNewest, "Name the newest recovery point of every group, by which the RPO is measured.", api.Empty{}, api.NewestReply{}},
	{"", api.JournalPoints, "List the recovery points of a group.", api.PointsRequest{}, api.PointsReply{}},
	{"", api.JournalResolve, "Turn a point, a tag or a time into the write that a group can be brought to.", api.ResolveRequest{}, api.Resolved{}},
	{"", api.JournalCursor, "Name the newest durable frame of a group, from which capture goes on.", api.GroupRequest{}, api.Cursor{}},
	{"", api.JournalOpen, "Serve the disks of a group as they were at a write.", api.OpenRequest{}, api.Export{}},
	{"", api.JournalClose, "End an export and discard what was written to it.", api.CloseRequest{}, api.Empty{}},
	{"", api.JournalExports, "List the exports of a group that are open.", api.GroupRequest{}, api.ExportsReply{}},
	{"", api.JournalHalt, "Accept no more writes of a group.", api.RunRequest{}, cdp.Bounds{}},
	{"", api.JournalResume, "Accept writes of a group again.", api.RunRequest{}, cdp.Bounds{}},
	{"", api.JournalMoveBase, "Bring the replica of a group to a write. Ask again until it is done.", api.MoveRequest{}, api.MoveReply{}},
	{"", api.JournalAbsorb, "Write what was written to an export into the replica, for good. Ask again until it is done.", api.CloseRequest{}, api.MoveReply{}},
	{"", api.JournalSeal, "End the journal of a group: its replica is the disk from now on.", api.RunRequest{}, api.SealReply{}},
	{"", api.JournalEditPoint, "Tag, pin or delete a recovery point.", api.EditPointRequest{}, cdp.Point{}},
	{"", api.JournalTested, "Keep the verdict of a test on its recovery point.", api.PointTestedRequest{}, cdp.Point{}},
	{"", api.JournalExpect, "Say what the recovery point that answers a command gets when it is stored.", api.ExpectRequest{}, api.Empty{}},
	{"", api.JournalRelease, "Close the images of a halted group until it is resumed.", api.RunRequest{}, api.Empty{}},
	{"", api.JournalFill, "Write the disks of a group, as they were at a write, to other images. Ask again until it is done.", api.FillRequest{}, api.MoveReply{}},
	{"", api.JournalFillStop, "End the filling of other images.", api.RunRequest{}, api.Empty{}},
	{"", api.JournalSums, "Give checksums of a range of a disk.", api.SumsRequest{}, api.SumsReply{}},
	{"", api.JournalDisks, "Say what is at some paths of this machine, for replicas.", api.DisksRequest{}, api.DisksReply{}},
}

var schedulerCalls = []call{
	{"", api.JobApply, "Check the document of a job, and store it.", api.ApplyRequest{}, api.ApplyReply{}},
	{"", api.JobDelete, "Delete a stopped job and its journal. Ask again until it is done.", api.JobDeleteRequest{}, api.Progress{}},
	{"", api.JobReprotect, "Make the job that leads back from a committed failover. Ask again until it is done.", api.ReprotectRequest{}, api.ReprotectReply{}},
	{"", api.JobApprove, "Take the agreement of one of two persons to an act that destroys history.", approval.Line{}, api.ApproveReply{}},
	{"", api.VMGroupApply, "Store the job of one VM of a job on VMs.", api.VMGroupApplyRequest{}, api.Empty{}},
	{"", api.VMGroupDelete, "Delete the job of one VM, if there is one.", api.GroupRequest{}, api.Empty{}},
}

var failoverCalls = []call{
	{"", api.FailoverStart, "Begin a failover, or say why not.", failoverrun.Request{}, api.Empty{}},
	{"", api.FailoverUnfence, "Let the VM at the source of a committed failover be powered on again.", api.UnfenceRequest{}, api.Empty{}},
	{"", api.FailoverCheck, "Check the VM of a failover again.", api.FailoverCheckRequest{}, api.Empty{}},
	{"", api.FailoverPolicy, "Say how a failover ends if nobody ends it.", api.FailoverPolicyRequest{}, api.Empty{}},
}

var orchestratorCalls = []call{
	{"", api.PlanApply, "Check the document of a plan, and store it.", api.ApplyRequest{}, api.ApplyReply{}},
	{"", api.PlanDelete, "Delete a plan.", api.PlanRequest{}, api.Empty{}},
	{"", api.PlanCheck, "Check a plan, stored or not, against what is there.", api.PlanRequest{}, api.PlanCheckReply{}},
	{"", api.PlanWitness, "Take what a witness saw of a site.", api.WitnessReport{}, api.Empty{}},
}

var vcenterCalls = []call{
	{"", api.VCenterInventory, "List what the vCenter of the site has, without VMs.", api.InventoryRequest{}, inventory.Inventory{}},
	{"", api.VCenterVMs, "List the VMs of the vCenter, a page at a time.", api.VMsRequest{}, api.VMsReply{}},
	{"", api.VCenterCheck, "Say whether the site has what its use requires.", api.CheckRequest{}, api.SiteCheck{}},
	{"", api.VCenterClocks, "Compare the clocks of the hosts with that of the service.", api.Empty{}, api.ClocksReply{}},
	{"", api.VCenterUp, "Say whether a VM or a host is up.", api.UpRequest{}, api.UpReply{}},
	{"", api.VCenterMembers, "List the VMs that selectors match, a page at a time.", api.MembersRequest{}, api.MembersReply{}},
	{"", api.SiteApply, "Check the document of a site, and store it.", api.ApplyRequest{}, api.ApplyReply{}},
	{"", api.SiteDelete, "Delete the description of a site.", api.SiteRequest{}, api.Empty{}},
	{"", api.VMJobCheck, "Find everything that stands in the way of a job on VMs.", api.VMJobCheckRequest{}, api.JobCheckReply{}},
	{"", api.VMJobRun, "Start a job on VMs.", api.VMJobName{}, api.Empty{}},
	{"", api.VMJobStop, "Stop a job on VMs.", api.VMJobName{}, api.Empty{}},
	{"", api.VMJobDelete, "End a job on VMs, or the protection of one VM of it. Ask again until it is done.", api.VMJobDeleteRequest{}, api.Progress{}},
	{"", api.VMJobReverse, "Give the job on VMs that leads back from the failover of a VM, and what stands in its way. Changes nothing.", api.VMReverseRequest{}, api.VMReverseReply{}},
	{"", api.VMJobStatus, "Say how jobs on VMs and their VMs are doing.", api.VMJobName{}, api.VMJobsReply{}},
	{"", api.VMGuestScript, "Run a script in a VM's guest by VMware Tools, once. Ask again until it is done.", api.GuestScriptRequest{}, api.GuestScriptReply{}},
	{"", api.VMSetPower, "Start or stop a VM that is nobody's replica. Ask again until it is done.", api.SetPowerRequest{}, api.SetPowerReply{}},
	{"", api.VMFreeze, "Freeze the disks of a VM with a snapshot, for a pass. Ask again until it is done.", api.FreezeRequest{}, api.FreezeReply{}},
	{"", api.VMChanged, "List the areas of a frozen disk that changed.", api.ChangedRequest{}, api.ChangedReply{}},
	{"", api.VMThaw, "Remove what passes left. Ask again until it is done.", api.ThawRequest{}, api.Progress{}},
	{"", api.VMPower, "Say whether a VM is on.", api.VMPowerRequest{}, api.VMPowerReply{}},
	{"", api.VMTap, "Attach the I/O filter to the disks of a VM, or detach it. Ask again until it is done.", api.TapRequest{}, api.Progress{}},
	{"", api.VMFence, "Power off the VM at the source and forbid its power-on, or the reverse. Ask again until it is done.", api.FenceRequest{}, api.Progress{}},
	{"", api.VMBuild, "Make the VM of a test, with disks for the journal to fill. Ask again until it is done.", api.VMRunRequest{}, api.VMRunReply{}},
	{"", api.VMAttach, "Move the disks of a failover from the transporter to the VM. Ask again until it is done.", api.VMRunRequest{}, api.VMRunReply{}},
	{"", api.VMBoot, "Connect, customize and power on the VM of a failover. Ask again until it is done.", api.VMRunRequest{}, api.VMRunReply{}},
	{"", api.VMCheck, "Run the checks of the VM of a failover. Ask again until it is done.", api.VMRunRequest{}, api.VMRunReply{}},
	{"", api.VMStop, "Power off the VM of a failover. Ask again until it is done.", api.VMRunRequest{}, api.VMRunReply{}},
	{"", api.VMReturn, "Discard what the VM of a failover wrote and move its disks back. Ask again until it is done.", api.VMRunRequest{}, api.VMRunReply{}},
	{"", api.VMKeep, "Keep what the VM of a failover wrote, for good. Ask again until it is done.", api.VMRunRequest{}, api.VMRunReply{}},
	{"", api.VMRemove, "Delete the VM of a test and its disks. Ask again until it is done.", api.VMRunRequest{}, api.VMRunReply{}},
	{"", api.FilterStatus, "List the I/O filters of a cluster.", api.FilterRequest{}, api.FiltersReply{}},
	{"", api.FilterChange, "Install, upgrade, uninstall or repair an I/O filter. Ask again until it is done.", api.FilterRequest{}, api.Progress{}},
	{"", api.TransporterList, "List the transporters of the site.", api.Empty{}, api.TransportersReply{}},
	{"", api.TransporterDeploy, "Deploy or upgrade a transporter. Ask again until it is done.", api.DeployRequest{}, api.Progress{}},
	{"", api.TransporterRemove, "Remove a transporter. Ask again until it is done.", api.RemoveRequest{}, api.Progress{}},
}
