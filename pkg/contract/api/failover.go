package api

import (
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// Endpoints of failover.
const (
	// FailoverStart starts a run and answers with a refusal or not at all:
	// failoverrun.Request -> Empty.
	FailoverStart = "start"
	// FailoverUnfence lets the VM at the source of a committed failover be powered on
	// again: UnfenceRequest -> Empty.
	FailoverUnfence = "unfence"
	// FailoverPolicy gives the run of a job another commit policy:
	// FailoverPolicyRequest -> Empty.
	FailoverPolicy = "policy"
	// FailoverCheck has the VM of a run that is ready checked again:
	// FailoverCheckRequest -> Empty.
	FailoverCheck = "check"
)

// FailoverCheckRequest names the run whose VM is to be checked again.
type FailoverCheckRequest struct {
	Job string `json:"job"`
	Run string `json:"run,omitempty"` // empty: the current one
}

// FailoverPolicyRequest is how a production run is to end if nobody ends it. The window
// begins anew.
type FailoverPolicyRequest struct {
	Job    string          `json:"job"`
	Run    string          `json:"run,omitempty"` // empty: the current one
	Policy recovery.Policy `json:"policy"`
	Window spec.Duration   `json:"window,omitempty"` // 0: the default
}

// UnfenceRequest names the job whose VM at the source is to be released.
type UnfenceRequest struct {
	Job string `json:"job"`
}
