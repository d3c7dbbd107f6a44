// Package planchaos runs site recovery jobs over simulated sites under faults: the
// orchestrator and the failover service as they are, and around them a source site, a
// journal, a vCenter and a bus in memory.
//
// In each round a seed picks a plan over three VMs, a mode, a source that answers, is
// cut off or is gone, and then the faults, at every call: a service is killed before or
// after the call had its effect and started again; a request or its answer is lost; a
// command comes twice, or once more later; a task fails, for a while or for good; one
// says that it is done and is not. After a time the faults end, and an operator retries
// what failed.
//
// What always holds: no step has its effect twice, no run is stuck, no VM is started at
// both sites by us, a planned failover never has both on, and once the source answers
// nobody has; and a test leaves nothing.
//
//	go test ./e2e/planchaos -rounds 200           # make soak
//	go test ./e2e/planchaos -seed 4711 -rounds 1  # one round again, with other timing
package planchaos
