// Package health says whether a job is protected, and if not, why and what to do.
// It is pure: the caller gathers the facts, from the stores and from the services
// that answer, and Judge decides. What is not known counts against the job: it is
// protected only when everything says so.
//
//	Judge(Facts) -> Group       a group: the disks of a job on disks, or of one VM
//	JudgeVMs(VMFacts) -> Job    a job on VMs, from the groups of its VMs
//
// Status, console and metrics share these verdicts and their words.
//
// What it never does: it asks nobody, keeps nothing, and prints nothing.
package health
