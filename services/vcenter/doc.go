// Package vcenter is the service that holds a site's vCenter: the only one with
// its credentials. Others ask it over the bus. It runs at every site that has a
// vCenter, and is source and target at once, as the jobs have it.
//
//	consumes                                does
//	spec bucket vmjob (Jobs)                keeps jobs on VMs whose target is here
//	api inventory vms check clocks members  answers
//	api freeze changed thaw                 a pass: the VM's disks as of a moment, at the transporter
//	api power                               answers, for a tap's last point
//	api tap                                 the I/O filter sees a VM's disks, or no more
//	api job-check job-run job-stop          jobs on VMs
//	    job-delete job-status
//	api vm-build ... vm-remove              the steps of a failover to a VM
//	api filter-status filter-change         the life of I/O filters
//	api transporter-list -deploy -remove    the life of transporters
//
//	emits
//	spec bucket job (Groups)                one job for each VM of a job on VMs
//	command job-run job-stop (Runs)         for those
//	request tap (Peer)                      to the vcenter service of the source
//	evt vcenter.member-changed, alarm, transporter-changed, filter-changed
//
// # The way of a member
//
// A VM that a job's selectors mean becomes a member, and each line is found done
// after a crash, in this order:
//
//	refused          something stands in its way: see vms.Check
//	preparing        the record: its group, its disks
//	                 the replica VM, without disks, known by its marks; power-on blocked
//	                 the name of each disk's file, in the record; then the file, or the seed
//	                 the disks at the transporter, found by UUID; where, in the record
//	                 its own job, which capture and journal work by
//	ready            the scheduler told to run it or not; the I/O filter told where to
//	                 send while it runs, and taken off while it does not; found
//	                 detached, or attached and silent while the VM is on, it is
//	                 attached again, and somebody is told
//	gone             the source means it no more: its job is stopped, its replica stays
//	failed-over      a failover has the replica: nobody else touches it
//
// What changes of the source's VM is followed (CPU, memory, network cards,
// settings), noted (name, host), or is the member's trouble (disks, firmware):
// then the rest goes on. Whatever the source does not answer is not waited for.
//
// # The way of a step
//
// What takes long is done in a lane: one piece of work at a time for each group,
// filter or transporter, that goes on when its asker is gone. An asker waits for
// it a little and is told to ask again. Before a step changes anything it writes
// down which run it is for; every call to the vCenter does nothing the second
// time, or looks first. So a step that was killed anywhere is asked again, and
// goes on:
//
//	test        build: VM with the run's mark, disks of its own, at the transporter
//	            attach, boot, check, stop; remove: by mark and record, nothing left
//	production  attach: the record, the devices released, disks from here to there
//	            boot: a snapshot as guard, networks, addresses, unblocked, on
//	            return: off, back to the guard, disks at the transporter, blocked
//	            keep: the guard merged, the marks taken away
//
// None of it needs the source site.
//
// # The way of a transporter
//
//	importing  the record; the VM, marked with its name and what it is made of
//	made       on, and waited for; whatever answers later is heard, too
//	(nothing)  it answered: the record is gone
//
// An upgrade makes the new one beside the old one, which the record names:
//
//	importing, made
//	switched   the old one kept no journal, asked right before it was powered off
//	heard      the new one answers: the old one is destroyed, the new one named
//	back       refused, or never heard: the new one goes, the old one is on again
//
// What answers and keeps no journal may be taken away, and what never answered;
// what is silent may keep one.
//
// What it never does: it removes no snapshot, VM or disk that is not known to be
// Tidemark's, and detaches no disk whose device the system still has.
package vcenter
