// Package labtest holds Tidemark to its promises on VMs: a Debian with PostgreSQL
// that runs as a VM of a simulated vCenter is protected, its whole site is killed,
// and it is brought back by the other site's vCenter, at three points of its past.
//
// Who judges is the guest itself: what it printed as committed before a point's
// time must be in the ledger that it finds when it boots from that point, without
// gaps, and both its disks must be of one moment.
//
// The product is used as an operator uses it: `tidemark apply`, `job run`, `point
// list`, `failover`. Nothing here speaks the bus.
//
//	main_test.go      builds the programs
//	world_test.go     a protected VM, and its judges
//	site_test.go      the loss of a site, with a tap and with cbt
//	plan_test.go      the same by a site recovery job
//	story_test.go     three guests, by plans all the way: make lab-story
//	story_home_test.go  their way home
//	seed_test.go      a seed that is interrupted
//	unseen_test.go    writes that nobody sees, and a planned failover
//	home_test.go      the way home from it
//	vcenter_test.go   the lab's vCenter itself: guests, snapshots, death
//
// TIDEMARK_GUEST=0 skips as package guest says. TIDEMARK_BIN and TIDEMARK_LAB_BIN
// name programs to test; by default they are built, with the race detector.
package labtest
