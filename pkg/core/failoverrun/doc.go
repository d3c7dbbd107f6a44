// Package failoverrun is a failover run as data: what is to be done, what was
// done, and what comes next. It is pure: a run and an event give a run and
// commands.
//
//	Step(run, event) -> (run, commands)
//
// The driver stores the run before it carries out the commands. A run that was
// interrupted goes on with the event Resumed, which gives the command of the
// current step once more; every step is a request that does nothing the second
// time. So each effect happens once.
//
// A run pins what it works on: the job's spec, when it begins, and the recovery
// point, when the step resolve is done. Neither is looked up again, so a job
// that is changed or deleted meanwhile changes nothing for the run.
//
// A test failover and a production failover are made of the same steps:
//
//	test, nbd          resolve open            cleanup: close
//	test, vm           resolve build fill attach boot check
//	                                           cleanup: stop remove
//	                                           with a verdict, then: attest
//	production, nbd    halt resolve open move  undo: close resume  commit: absorb close seal
//	production, files  halt resolve move       undo: resume        commit: seal
//	production, vm     halt resolve move release attach boot check
//	                                           undo: stop return resume  commit: keep seal
//	planned            drain arrive, then as production
//	planned, vm        fence drain arrive, then as production
//
// With nbd the disks can be used once open is done; move continues in the
// background. With vm they are in use once boot is done; check only looks, and
// whatever it finds the run becomes ready: Run.CheckFailed tells the operator.
// A step that fails for good before the disks can be used is followed by the
// steps of undo or cleanup that reverse what was begun. After that nothing is
// torn down unasked.
//
// # The VM at the source
//
// It must not run beside the one at the target. A planned run fences it first, and ends
// if it cannot be fenced. Any other run does not wait for the source: what is owed
// there is in the record (OldVM) from the moment the VM at the target is on, outlives
// the run, and is done whenever the source answers. A run that is taken back owes the
// opposite. OldVM.Turn orders these requests, so that one that arrives late changes
// nothing.
//
// # The commit window
//
// A production run may have a policy for the case that nobody ends it: commit or undo,
// some time after it was ready. People are warned first; the run never ends sooner after
// the warning than they were told. What an operator asks for comes first, and what would
// refuse an operator (clients of the disks, a retention lock, a failed check) holds the
// policy, too.
//
// # Phases
//
// Phases, and the ways between them:
//
//	running -> usable -> ready -> ending -> cleaned | undone | committed
//	running -> ending -> failed      everything was taken back, nothing is held
//	usable, ending -> failed         something is held: undo, or ask again
//
// What it never does: it does not talk, wait, or read a clock.
package failoverrun
