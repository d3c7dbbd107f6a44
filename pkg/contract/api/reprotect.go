package api

import (
	"tidemark.dev/pkg/cdp"
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
	// Diverged is how many writes the old disks took that the failover did not reach, and
	// that are discarded; nil: not known.
	Diverged *uint64 `json:"divergedWrites,omitempty"`
	// Drops is how many points of the job's round before are dropped. They have been
	// unreadable since its failover was committed.
	Drops int `json:"dropsPoints,omitempty"`
	// Problems refuse it; nothing was changed then.
	Problems []Problem `json:"problems,omitempty"`
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
