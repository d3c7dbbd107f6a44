package api

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// ReprotectRequest asks for the job that leads back from a committed failover. The site
// that is asked becomes its target.
type ReprotectRequest struct {
	// Job was failed over to Site, its target.
	Job  string   `json:"job"`
	Site cdp.Site `json:"site"`
	// As names the reversed job. Empty: it is chosen.
	As string `json:"as,omitempty"`
	// To is the site that is asked, where that is not the one that the machine came from.
	To cdp.Site `json:"to,omitempty"`
	// Place is where a new VM is made for the machine of a job on VMs, in names of the
	// site that is asked. Nil: it goes back to the VM that it came from.
	Place *inventory.JobTarget `json:"place,omitempty"`
	// Disks are its replicas. None: the job's old disks, which are overwritten where they
	// differ.
	Disks []spec.TargetDisk `json:"disks,omitempty"`
	// Capture and Listen are of its source.
	Capture cdp.CaptureMode `json:"capture,omitempty"`
	Listen  string          `json:"listen,omitempty"`
	// DryRun says what would be done, and changes nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// Yes confirms that old disks are overwritten and the points of an earlier round are
	// dropped.
	Yes bool `json:"yes,omitempty"`
	// Round is that of the reversed job, where another one reverses the same failover at a
	// site that is lost; 0: the one after the job's own.
	Round int `json:"round,omitempty"`
	// Run is the failover that was committed: until the site that is asked has a copy of
	// that, nothing is done. Empty: whatever is known there.
	Run string `json:"run,omitempty"`
}

// ReprotectReply says what is done, or would be.
type ReprotectReply struct {
	// Job is the reversed job.
	Job spec.ReplicationJob `json:"job"`
	// Overwrites are the old disks, with their sizes. None: the replicas are new.
	Overwrites []DiskFacts `json:"overwrites,omitempty"`
	// Copies is how many bytes are copied in full, because nothing at the target holds a
	// copy of them.
	Copies int64 `json:"copiesBytes,omitempty"`
	// Diverged is how many writes the old disks took that the failover did not reach, and
	// that are discarded; nil: not known.
	Diverged *uint64 `json:"divergedWrites,omitempty"`
	// Drops is how many points of the job's round before are dropped. They have been
	// unreadable since its failover was committed.
	Drops int `json:"dropsPoints,omitempty"`
	// Problems refuse it; nothing was changed then.
	Problems []Problem `json:"problems,omitempty"`
	// Warnings are what an operator has to see to.
	Warnings []string `json:"warnings,omitempty"`
	// Done: the job is there, and was told to run. Until then Text is what is waited for.
	Done bool   `json:"done,omitempty"`
	Text string `json:"text,omitempty"`
}

// Bytes is how many bytes the old disks have.
func (r ReprotectReply) Bytes() (n int64) {
	for _, d := range r.Overwrites {
		n += d.Size
	}
	return n
}

// VMReverseRequest asks the vcenter service of a site for the job on VMs that leads back
// there from the failover of a VM.
type VMReverseRequest struct {
	// Name is that of the job.
	Name string `json:"name"`
	// Of is the job of the VM that was failed over, as it was pinned by the failover.
	Of spec.ReplicationJob `json:"of"`
	// VM is the instance UUID of the VM that runs now.
	VM       string        `json:"vm"`
	Reverses spec.Reverses `json:"reverses"`
	// Capture is how its writes are to be captured; empty: as those of the old VM were.
	Capture cdp.CaptureMode `json:"capture,omitempty"`
	// Site is the one that is asked, and Place where it makes a new VM; nil: the VM goes
	// back to the one that it came from.
	Site  cdp.Site             `json:"site,omitempty"`
	Place *inventory.JobTarget `json:"place,omitempty"`
}

// VMReverseReply is the job that leads back from the failover of a VM.
type VMReverseReply struct {
	// Job has the settings of recovery points and journal of the one that was failed over.
	Job spec.VMJob `json:"job"`
	// Overwrites are the old VM's disks, or seeds, with their sizes.
	Overwrites []DiskFacts `json:"overwrites,omitempty"`
	// Copies is how many bytes are copied in full, to new disks.
	Copies int64 `json:"copiesBytes,omitempty"`
	// Problems refuse the job.
	Problems []inventory.Problem `json:"problems,omitempty"`
	// Warnings are what an operator has to see to.
	Warnings []string `json:"warnings,omitempty"`
}
