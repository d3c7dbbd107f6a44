// Package trigger decides when the trigger of a site recovery job starts the job, or
// asks people whether to start it.
//
//	Step(trigger, state, event) -> state
//
// # Phases
//
//	armed -> holding      what it waits for holds
//	holding -> asking     it has held for long enough, and people have to agree
//	holding -> starting   nobody has to
//	asking -> starting    enough people have agreed
//	asking -> spent       somebody has refused
//	starting -> spent     the run has begun, or somebody has begun one meanwhile
//	spent -> armed        it has not held for as long as it had to hold
//	holding, asking, starting -> armed  it does not hold any more, or all that a
//	                      production run would recover is failed over already
//
// One outage starts one run: a trigger that has fired is spent until what it waits
// for has ended, and fires again only after its cool-down. What is not known neither
// fires a trigger nor arms it again. A schedule is armed again at once, for its next
// time.
//
// How long something has held is measured by the driver, by a clock that does not
// step; a new driver begins at nothing, so a restart delays a trigger and never
// hastens it.
//
// What it never does: it does not look, start, or read a clock.
package trigger
