package spec

import "tidemark.dev/pkg/cdp"

// Reverses says which committed failover a job leads back from: it replicates the disks
// that run since then to the site that they came from. The scheduler writes it when it
// is asked to reprotect, and nobody else changes it.
type Reverses struct {
	// Site is the target of the job that was failed over, Job its name there, and Run
	// the failover.
	Site cdp.Site `json:"site"`
	Job  string   `json:"job"`
	Run  string   `json:"run"`
	// Round counts the reversals: 1 leads back from the first failover, 2 forth again.
	// Of two jobs that reverse each other the one with the higher round is in force.
	Round int `json:"round"`
	// OldDisks: the replicas are the disks that the failed over job had as its source.
	// They hold a copy, so only what differs is sent.
	OldDisks bool `json:"oldDisks,omitempty"`
	// VM is the instance UUID of the VM that the failed over job had as its source: with
	// its disks it is the replica. Empty for jobs of disks, and where a new VM is made.
	VM string `json:"vm,omitempty"`
	// Before is the job here, of the round before, whose replica that VM was and whose
	// failover is what Job leads back from. Empty for jobs of disks, and in round 1.
	Before string `json:"before,omitempty"`
}

// TakesBack reports whether the replica is the VM that the failover came from.
func (r *Reverses) TakesBack() bool { return r != nil && r.VM != "" }

// Same reports whether both lead back from the same failover.
func (r Reverses) Same(o Reverses) bool {
	return r.Site == o.Site && r.Job == o.Job && r.Run == o.Run && r.Round == o.Round
}

// Round is how often the direction was reversed to get to this job.
func (j ReplicationJob) Round() int {
	if j.Reverses == nil {
		return 0
	}
	return j.Reverses.Round
}

// Adopts reports whether the replicas hold a copy already, with which the disks are
// compared.
func (j ReplicationJob) Adopts() bool {
	return j.Target.Adopt || j.Reverses != nil && j.Reverses.OldDisks
}

// Direction says from where to where a job replicates, and whether that is the reverse
// of how it began.
func (j ReplicationJob) Direction() string {
	return directionText(j.Source.Site, j.Target.Site, j.Round())
}

// Direction is as that of a ReplicationJob.
func (j VMJob) Direction() string {
	round := 0
	if j.Reverses != nil {
		round = j.Reverses.Round
	}
	return directionText(j.SourceSite, j.TargetSite, round)
}

func directionText(from, to cdp.Site, round int) string {
	text := string(from) + " -> " + string(to)
	if round%2 == 1 {
		text += " (reversed)"
	}
	return text
}

// Retires reports whether this job takes the place of another: its disks at this site are
// not captured for that one any more.
func (j ReplicationJob) Retires(target cdp.Site, name string, round int) bool {
	r := j.Reverses
	return r != nil && r.Site == target && r.Job == name && r.Round > round
}

// reverses checks what the scheduler wrote, for it is written by hand as well.
func (c *checker) reverses(j *ReplicationJob) {
	const at = "/spec/reverses"
	r := j.Reverses
	switch {
	case r == nil:
	case r.VM != "" || r.Before != "":
		c.bad(at+"/vm", "vms", "is for jobs on VMs only")
	case r.Site != j.Source.Site:
		c.bad(at+"/site", "reference", "%q: a job reverses one whose target is its own source, %s", r.Site, j.Source.Site)
	case j.Source.Capture == cdp.Tap && r.OldDisks:
		c.bad(at+"/oldDisks", "mode", "the client of a tap sends everything: use capture inline")
	}
}

// reversesVM is reverses for a job on VMs.
func (c *checker) reversesVM(j *VMJob) {
	const at = "/spec/reverses"
	r := j.Reverses
	switch {
	case r == nil:
	case r.Site != j.SourceSite:
		c.bad(at+"/site", "reference", "%q: a job reverses one whose target is its own source, %s", r.Site, j.SourceSite)
	case (r.VM != "") != r.OldDisks:
		c.bad(at+"/vm", "required", "a job on VMs that reverses another into old disks names the VM there, whose disks they are, and one that makes a new VM names none")
	case len(j.Source.VMs) != 1 || j.Source.VMs[0].UUID == "":
		c.bad("/spec/source/vms", "reference", "a job that reverses another has one VM, by its uuid")
	}
}
