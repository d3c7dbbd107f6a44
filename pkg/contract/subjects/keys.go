package subjects

// Prefixes of the spec bucket's keys, and what is stored under them, as JSON. Each
// prefix has one writer, the service that owns the kind; everybody else asks it.
const (
	// KeyJob: spec.ReplicationJob, written by the scheduler: the jobs that people
	// describe, and those of single VMs, which the vcenter service derives from jobs
	// on VMs and has the scheduler write.
	KeyJob = "job"
	// KeyVMJob: spec.VMJob, written by the scheduler.
	KeyVMJob = "vmjob"
	// KeySite: spec.Site, written by the vcenter service.
	KeySite = "site"
	// KeyPlan: spec.Plan, written by the orchestrator.
	KeyPlan = "plan"
)

// Prefixes of the state bucket's keys, beside KeyJob.
const (
	KeyRPO      = "rpo"
	KeyRPORound = "rpo-round" // by site
	KeyFailover = "failover"
	KeyVCenter  = "vcenter"
	KeyLinks    = "links"
	// KeyApproval: []approval.Line, what approvers agreed to, by a digest of the act;
	// written by the scheduler.
	KeyApproval = "approval"
	// KeyPlanRun: plan.Run, the last run of a plan, by the plan's name; KeyPlanLog: the
	// runs before it, by <plan>.<run>.
	KeyPlanRun = "orchestrator"
	KeyPlanLog = "orchestrator-log"
	// KeyTrigger: trigger.State, by <plan>.<trigger>.
	KeyTrigger = "orchestrator-trigger"
	// KeyWitness: api.WitnessReport, the last of a witness about a site, by <hash of the
	// witness's key>.<site>.
	KeyWitness = "orchestrator-witness"
	// KeyPlanCheck: plan.Verification, the last check of a plan, by the plan's name.
	KeyPlanCheck = "orchestrator-check"
	KeyLease     = "lease"
)
