// Package failback is the way back from a failover that was committed: the reversed job,
// and what is to be done next to bring a machine home. It is pure.
//
// There is one primitive, the reversal of a job (Reverse). A failback is a reversal, a
// planned failover of the reversed job, its commit, and a reversal again: Next says from
// what is seen of both jobs which of these is due. So a failback has no state of its
// own, and whoever drives it may be killed at any moment.
//
// Two jobs take turns: web replicates prod -> dr, and web-back dr -> prod. Each reversal
// counts a round, and of the two the job with the higher round is in force. Of a VM each
// round is a job of its own (VMName), and the one with the highest round is in force.
//
// What it never does: it does not decide whether disks may be overwritten (package
// jobrules does), and it asks nobody.
package failback
