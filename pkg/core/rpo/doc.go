// Package rpo says how much a job would lose if its source died now, and whether
// that is within the job's objective. It is pure: time is an argument.
//
//	RPO now = now - source time of the newest durable recovery point
//
// all in target time. The source time carries the error bound of the clock
// measurement, and so does the RPO. It grows as long as no newer point comes: a
// dead link, a dead source and a seed in progress look alike, and all are bad.
//
// States:
//
//	no-data    the job is stopped, or has no point yet: nothing is protected
//	met        the worst case (RPO + bound) is within the objective and a grace
//	breached   it is not
//	failed     it is beyond what the job's spec counts as failed
//
// A point that is made in time still needs time to become durable; Grace is the
// allowance for that, so that a job whose cadence equals its objective does not
// breach once in every cycle. A breach ends only after the job was within its
// objective for Settle without a break, so that one late point does not alert
// twice.
//
// What it never does: it does not decide who is alerted, and it knows no bus.
package rpo
