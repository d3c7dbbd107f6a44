package api

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// VCenter endpoints for the steps of a failover to a VM, served by the vcenter
// service at the target site: VMRunRequest -> VMRunReply. Each is idempotent;
// call it until Done.
const (
	VMBuild  = "vm-build"  // makes the test VM and its scratch disks, attached to the transporter; Paths are those disks, for the journal to fill
	VMAttach = "vm-attach" // moves the disks from the transporter to the VM
	VMBoot   = "vm-boot"   // maps the networks, customizes the guest and powers the VM on
	VMCheck  = "vm-check"  // runs the VM's checks; when Done, VM.Checks has the results
	VMStop   = "vm-stop"   // powers the VM off
	VMReturn = "vm-return" // discards what the VM wrote and moves the disks back to the transporter; the replica VM cannot be powered on; Paths
	VMKeep   = "vm-keep"   // keeps what the VM wrote; the replica VM is the VM from now on
	VMRemove = "vm-remove" // deletes the test VM and its disks
)

// VMRunRequest is a step of a failover run to a VM.
type VMRunRequest struct {
	// Job is the group's own job, also where the VM belongs to a job on VMs.
	Job string `json:"job"`
	Run string `json:"run"`
	// Test: the VM is a VM of its own, built for the run.
	Test bool `json:"test,omitempty"`
	// NoReIP: the guest keeps the addresses that it had at the source.
	NoReIP bool `json:"noReIP,omitempty"`
	// Disks are the group's disks as they were at the point; none: as they are now.
	Disks []cdp.Disk `json:"disks,omitempty"`
	// Source and Target are the job's sites.
	Source cdp.Site `json:"source,omitempty"`
	Target cdp.Site `json:"target,omitempty"`
}

// VMRunReply is the progress of a step.
type VMRunReply struct {
	Done bool   `json:"done"`
	Text string `json:"text,omitempty"` // what is being done, or was
	// Moved of Total is done, in the step's own unit; both are 0 if unknown.
	Moved int64 `json:"moved,omitempty"`
	Total int64 `json:"total,omitempty"`
	// Paths are the VM's disks as devices of the transporter, in the order of the
	// group's disks.
	Paths []string `json:"paths,omitempty"`
	VM    *VMRun   `json:"vm,omitempty"`
}

// VMRun is the VM of a failover as it was last seen.
type VMRun struct {
	Name string `json:"name"`
	Ref  string `json:"ref"` // the vCenter's own name for it
	// UUID is its instance UUID; empty in records of older versions.
	UUID  string          `json:"uuid,omitempty"`
	Power inventory.Power `json:"power"`
	Host  string          `json:"host,omitempty"`
	// IPs are the guest's addresses as VMware Tools report them.
	IPs    []string        `json:"ips,omitempty"`
	Checks []VMCheckResult `json:"checks,omitempty"`
}

// VMCheckResult is what one check of a VM found.
type VMCheckResult struct {
	Name string `json:"name"` // tools, ping, port, script
	OK   bool   `json:"ok"`
	Text string `json:"text,omitempty"`
}
