package bus

import (
	"slices"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// anyOf is every verb or endpoint of a service.
const anyOf = "*"

// role is what a service needs of the bus, from which its permissions follow.
type role struct {
	emits   []string // areas of events
	handles bool     // takes commands
	serves  bool     // answers requests
	watches bool     // reads all events
	buried  bool     // reads and drops dead letters, and reads the records of what was asked
	studies bool     // lists streams and services, and hears the site's events as they come

	// Verbs and endpoints, by service: what it commands and asks at its own site,
	// and at peers as far as peerCommands and peerEndpoints let it.
	commands, asks map[string][]string

	// Key prefixes, by bucket. Reading includes the peers' copies. What a
	// service writes it also reads. A key has one writer.
	reads, writes map[string][]string

	framesOut, framesIn bool
}

// roleOf is the table of roles. Every service also writes the lease it leads by.
func roleOf(service string) (role, bool) {
	states := []string{"job", "capture", "journal", "rpo", "rpo-round", "failover", "vcenter", "links", "lease", "orchestrator", "orchestrator-log", "orchestrator-trigger", "orchestrator-witness", "orchestrator-check", "approval"}
	roles := map[string]role{
		subjects.Capture: {
			emits: []string{"capture"}, handles: true, serves: true, framesOut: true,
			asks: map[string][]string{
				subjects.Journal: {api.JournalCursor, api.JournalSums},
				subjects.VCenter: {api.VMFreeze, api.VMChanged, api.VMThaw, api.VMPower},
				subjects.Setup:   {api.FramesEnsure, api.FramesRecreate, api.FramesResize, api.FramesPurge, api.FramesDelete, api.FramesHas},
			},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}, subjects.BucketState: {"job"}},
			writes: map[string][]string{subjects.BucketState: {"capture"}, subjects.BucketEpoch: {"group"}},
		},
		subjects.Journal: {
			emits: []string{"journal"}, handles: true, serves: true, framesIn: true,
			asks:   map[string][]string{subjects.Capture: {api.CaptureStatus, api.CaptureClock}},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}, subjects.BucketState: {subjects.KeyApproval}},
			writes: map[string][]string{subjects.BucketState: {"journal"}},
		},
		subjects.Scheduler: {
			emits: []string{"job"}, handles: true, serves: true, watches: true,
			asks: map[string][]string{
				subjects.Capture: {api.CaptureMarks, api.CaptureSpool, api.CaptureDisks, api.CaptureStatus},
				subjects.Journal: {api.JournalStatus, api.JournalExports, api.JournalDisks},
				subjects.VCenter: {api.VMJobCheck, api.VMJobStatus, api.VMJobRun, api.VMJobDelete, api.VMJobReverse},
			},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketSpec: {"job", "vmjob"}, subjects.BucketState: {"job", subjects.KeyApproval}},
		},
		subjects.RPOMonitor: {
			emits: []string{"rpo"}, serves: true, watches: true,
			asks:   map[string][]string{subjects.Journal: {api.JournalNewest}},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketState: {"rpo", "rpo-round"}},
		},
		subjects.Failover: {
			emits: []string{"failover"}, handles: true, serves: true, watches: true,
			asks: map[string][]string{
				subjects.Capture: {api.CaptureStatus, api.CaptureDrain},
				subjects.Journal: {
					api.JournalStatus, api.JournalPoints, api.JournalResolve, api.JournalOpen, api.JournalClose, api.JournalExports, api.JournalHalt, api.JournalResume,
					api.JournalMoveBase, api.JournalAbsorb, api.JournalSeal, api.JournalRelease, api.JournalFill, api.JournalFillStop, api.JournalTested,
				},
				subjects.VCenter: {api.VMBuild, api.VMAttach, api.VMBoot, api.VMCheck, api.VMStop, api.VMReturn, api.VMKeep, api.VMRemove, api.VMFence},
			},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketState: {"failover"}},
		},
		subjects.VCenter: {
			emits: []string{"vcenter", "site"}, handles: true, serves: true,
			commands: map[string][]string{subjects.Scheduler: {"job-run", "job-stop"}},
			asks: map[string][]string{
				subjects.Capture: {api.CaptureStatus}, subjects.Journal: {api.JournalStatus}, subjects.Scheduler: {api.VMGroupApply, api.VMGroupDelete},
				subjects.VCenter: {api.VCenterMembers, api.VMTap, api.FilterStatus},
			},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "vmjob"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketSpec: {"site"}, subjects.BucketState: {"vcenter"}},
		},
		subjects.Orchestrator: {
			emits: []string{"plan"}, handles: true, serves: true, watches: true,
			commands: map[string][]string{subjects.Scheduler: {"job-run", "job-stop"}, subjects.Failover: {"start", "cleanup", "undo", "commit"}}, asks: plansAsks(),
			reads:  map[string][]string{subjects.BucketSpec: {"job", "vmjob", "site"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketSpec: {"plan"}, subjects.BucketState: {"orchestrator", "orchestrator-log", "orchestrator-trigger", "orchestrator-witness", "orchestrator-check"}},
		},
		subjects.Witness: {asks: map[string][]string{subjects.Orchestrator: {api.PlanWitness}}},
		subjects.Operator: {
			watches: true, buried: true, studies: true, commands: everything(), asks: peoplesAsks(),
			reads: map[string][]string{subjects.BucketSpec: {"job", "vmjob", "site", "plan"}, subjects.BucketState: states},
		},
	}
	r, ok := roles[service]
	return r, ok
}

// callers are the roles that may ask a service for an endpoint; with anyOf, for anything.
func callers(service, endpoint string) (out []string) {
	for _, name := range subjects.Services() {
		if r, ok := roleOf(name); ok {
			if may := r.asks[service]; slices.Contains(may, endpoint) || slices.Contains(may, anyOf) || endpoint == anyOf && len(may) > 0 {
				out = append(out, name)
			}
		}
	}
	return out
}

// commanders are the roles that may give a service a command.
func commanders(service, verb string) (out []string) {
	for _, name := range subjects.Services() {
		if r, ok := roleOf(name); ok {
			if may := r.commands[service]; slices.Contains(may, verb) || slices.Contains(may, anyOf) {
				out = append(out, name)
			}
		}
	}
	return out
}

// peoplesAsks is what a person may ask. What are steps of runs, or the vcenter service's
// own, is asked by services alone: they have checked first that it may be, and that two
// persons agreed where a site wants that.
func peoplesAsks() map[string][]string {
	all := everything()
	all[subjects.Setup] = []string{api.BusApply} // to what is declared, and nothing of theirs
	all[subjects.Journal] = []string{
		api.JournalStatus, api.JournalNewest, api.JournalPoints, api.JournalResolve, api.JournalCursor, api.JournalOpen, api.JournalClose, api.JournalExports,
		api.JournalEditPoint, api.JournalTested, api.JournalExpect, api.JournalSums, api.JournalDisks,
	}
	all[subjects.Scheduler] = []string{api.JobApply, api.JobDelete, api.JobReprotect, api.JobApprove}
	all[subjects.VCenter] = []string{
		api.VCenterInventory, api.VCenterVMs, api.VCenterCheck, api.VCenterClocks, api.VCenterUp, api.VCenterMembers, api.SiteApply, api.SiteDelete,
		api.VMJobCheck, api.VMJobRun, api.VMJobStop, api.VMJobReverse, api.VMJobStatus, api.VMSetPower, api.VMPower, api.FilterStatus, api.FilterChange,
		api.TransporterList, api.TransporterDeploy, api.TransporterRemove,
	}
	return all
}

// plansAsks is what actions and conditions of plans need, and no more: a plan describes no
// site or job, and takes no step of a run.
func plansAsks() map[string][]string {
	return map[string][]string{
		subjects.Capture: {api.CaptureStatus, api.CaptureSpool}, subjects.Journal: {api.JournalStatus, api.JournalPoints, api.JournalResolve},
		subjects.Failover: {api.FailoverStart, api.FailoverCheck}, subjects.Scheduler: {api.JobReprotect},
		subjects.VCenter: {
			api.VCenterInventory, api.VCenterVMs, api.VCenterUp, api.VMJobCheck, api.VMJobRun, api.VMJobStop, api.VMJobStatus,
			api.VMSetPower, api.VMGuestScript,
		},
	}
}

// everything is what a person may command: whatever the services know.
func everything() map[string][]string {
	all := map[string][]string{}
	for _, service := range []string{subjects.Capture, subjects.Journal, subjects.Scheduler, subjects.RPOMonitor, subjects.Failover, subjects.VCenter, subjects.Orchestrator} {
		all[service] = []string{anyOf}
	}
	return all
}
