package api

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// VCenter endpoints for the steps of a failover to a VM, served by the vcenter
// service at the target site: VMRunRequest -> VMRunReply. Each is idempotent,
// and asked again until Done.
const (
	VMBuild  = "vm-build"  // makes the test VM and its scratch disks, attached to the transporter; Paths are where the journal fills them
	VMAttach = "vm-attach" // the disks leave the transporter and are attached to the VM
	VMBoot   = "vm-boot"   // networks mapped, customized, powered on
	VMCheck  = "vm-check"  // its checks; Done with VM.Checks filled
	VMStop   = "vm-stop"   // powered off
	VMReturn = "vm-return" // what the VM wrote is thrown away; the disks are back at the transporter, power-on blocked; Paths
	VMKeep   = "vm-keep"   // what it wrote stays; the replica VM is the VM
	VMRemove = "vm-remove" // the test VM and its disks are gone
)

// VMRunRequest is a step of a failover run to a VM.
type VMRunRequest struct {
	// Job is the group's own: for a VM of a job on VMs, the child job.
	Job string `json:"job"`
	Run string `json:"run"`
	// Test: the VM is one of its own, made for the run.
	Test bool `json:"test,omitempty"`
	// Source and Target are the job's sites.
	Source cdp.Site `json:"source,omitempty"`
	Target cdp.Site `json:"target,omitempty"`
}

// VMRunReply tells how far a step is.
type VMRunReply struct {
	Done bool   `json:"done"`
	Text string `json:"text,omitempty"` // what is being done, or was
	// Moved is how much of Total is done, in the step's own unit; both 0 if
	// that cannot be told.
	Moved int64 `json:"moved,omitempty"`
	Total int64 `json:"total,omitempty"`
	// Paths are the VM's disks as the transporter sees them, in the order of
	// the group's.
	Paths []string `json:"paths,omitempty"`
	VM    *VMRun   `json:"vm,omitempty"`
}

// VMRun is a VM as a failover left it.
type VMRun struct {
	Name  string          `json:"name"`
	Ref   string          `json:"ref"` // the vCenter's own name for it
	Power inventory.Power `json:"power"`
	Host  string          `json:"host,omitempty"`
	// IPs as the guest's tools tell them.
	IPs    []string        `json:"ips,omitempty"`
	Checks []VMCheckResult `json:"checks,omitempty"`
}

// VMCheckResult is what one check of a VM found.
type VMCheckResult struct {
	Name string `json:"name"` // tools, ping, port, script
	OK   bool   `json:"ok"`
	Text string `json:"text,omitempty"`
}
