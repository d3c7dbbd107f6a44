package api

// Endpoints of failover.
const (
	// FailoverStart starts a run and answers with a refusal or not at all:
	// failoverrun.Request -> Empty.
	FailoverStart = "start"
	// FailoverUnfence lets the VM at the source of a committed failover be powered on
	// again: UnfenceRequest -> Empty.
	FailoverUnfence = "unfence"
)

// UnfenceRequest names the job whose VM at the source is to be released.
type UnfenceRequest struct {
	Job string `json:"job"`
}
