// Package failoverrun is a failover run as data: what is to be done, what was done, and
// what comes next. It is pure: a state and an event give a state and commands.
//
//	Step(state, event) -> (state, commands)
//
// Whoever drives it writes the state down before it does the commands. A run
// that was interrupted anywhere goes on with the event Resumed, which gives the
// command of the step it stood at once more; every step is a request that does
// nothing the second time. So each effect happens once.
//
// A test failover and a production failover are plans through the same rooms:
//
//	test, nbd          resolve open            cleanup: close
//	test, vm           resolve build fill attach boot check
//	                                           cleanup: stop remove
//	production, nbd    halt resolve open move  undo: close resume  commit: absorb close seal
//	production, files  halt resolve move       undo: resume        commit: seal
//	production, vm     halt resolve move release attach boot check
//	                                           undo: stop return resume  commit: keep seal
//	planned            drain arrive, then as production
//
// With nbd the disks can be used once open is done; move goes on behind them.
// With a VM they are in use once boot is done; check only looks, and whatever
// it finds the run is ready: State.CheckFailed tells the operator.
// A step that fails for good before the disks can be used is followed by the
// way back: of undo, or of cleanup, what reverses the steps that were begun.
// After that nothing is torn down by itself.
//
// Phases, and the ways between them:
//
//	running -> usable -> ready -> ending -> cleaned | undone | committed
//	running -> ending -> failed      the way back was gone, nothing is held
//	usable, ending -> failed         something is held: undo, or ask again
//
// What it never does: it does not talk, wait, or look at a clock.
package failoverrun
