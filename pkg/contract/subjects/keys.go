package subjects

// Prefixes of the spec bucket's keys. What is under them, as JSON:
// spec.ReplicationJob, spec.VMJob, spec.Site.
const (
	KeyJob   = "job"
	KeyVMJob = "vmjob"
	KeySite  = "site"
)

// Prefixes of the state bucket's keys, beside KeyJob.
const (
	KeyRPO      = "rpo"
	KeyFailover = "failover"
	KeyVCenter  = "vcenter"
	KeyLinks    = "links"
)
