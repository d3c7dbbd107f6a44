// Package vcenter is the service that holds a site's vCenter and, alone, its
// credentials. Other services ask it over the bus. It runs at every site that has a
// vCenter. A site is the source of some jobs and the target of others: a job names
// both sites, and the service knows its own.
//
//	consumes                                does
//	spec bucket vmjob (Jobs)                reconciles the jobs on VMs whose target is here
//	api inventory vms check clocks members  answers (siteQueries)
//	api freeze changed thaw                 a pass: the VM's disks as of a moment, at the transporter (freezer)
//	api power tap                           a source VM's power, and its I/O filter (sourceTaps)
//	api fence                               a source VM is kept off while a failover runs its replica (fencer)
//	api job-check job-run job-stop          jobs on VMs (jobControl)
//	    job-delete job-status job-reverse
//	api vm-build ... vm-remove              the steps of a failover to a VM (vmRuns)
//	api filter-status filter-change         the life of I/O filters (filters)
//	api transporter-list -deploy -remove    the life of transporters (transporters)
//	api and command site-apply site-delete  the specs of sites (SiteOwner)
//
//	emits
//	spec bucket job (Groups)                one job for each VM of a job on VMs
//	command job-run job-stop (Runs)         for those jobs
//	request members tap filters (Peer)      to the vcenter service of the source
//	evt vcenter.member-changed, alarm, transporter-changed, filter-changed
//
// Service joins these parts and has the table of endpoints. What they share: a
// connector, which refuses a vCenter that is not the site's; an inventoryCache, which
// every change over a connection invalidates; hotadd, which attaches disks to the
// transporter; lanes and locks.
//
// # States of a member
//
// A VM that a job's selectors select becomes a member. Its work is done in this order,
// and each step is found done after a crash:
//
//	refused          something prevents its protection: see vmpolicy.Check
//	preparing        the record: its group, its disks
//	                 the replica VM, without disks, identified by its marks; power-on blocked.
//	                 Of a job that reverses another it is the VM that a failover came from
//	                 (takeBack), with its own disks, and is never deleted
//	                 each disk's file name, in the record; then the file, or the seed
//	                 the disks at the transporter, found by UUID; their paths, in the record
//	                 its own job, which capture and journal work by
//	ready            the scheduler runs the job or stops it; the I/O filter is attached
//	                 while it runs and detached while it does not; if it is found
//	                 detached, or silent while the VM is on, it is attached again, with
//	                 an alarm
//	gone             the job no longer selects it: its own job is stopped, its replica stays
//	failed-over      a failover has the replica: nobody else touches it
//
// Changes of the source VM are followed (CPU, memory, network cards, settings, disks that
// are extended, added, removed or moved), noted (name, host), or are the member's trouble
// (firmware, a vTPM); the rest continues. A disk that was removed keeps its place in the
// group, because older points have it.
// Nothing waits for a source that does not answer.
//
// # Steps of a failover
//
// Long work runs in lanes: one piece of work at a time for each group, filter or
// transporter. It continues when the caller is gone. A caller waits for a short time and
// must then ask again. Before a step changes anything, it records the run that it is
// for. Calls to the vCenter are idempotent, or the step looks first. So a step that was
// killed at any point continues when it is asked for again:
//
//	test        build: a VM with the run's mark, its own disks, at the transporter
//	            attach, boot, check, stop; remove: everything, by mark and record
//	production  attach: the record, devices released, disks from transporter to VM
//	            boot: a snapshot as guard, networks, addresses, unblocked, on
//	            return (undo): off, reverted to the guard, disks at the transporter, blocked
//	            keep (commit): the guard merged, the marks removed
//
// No step needs the source site. Its vcenter service fences the VM there, when the
// failover service asks.
//
// # States of a transporter
//
//	importing  the record; the VM, marked with its name and what it is deployed from
//	made       on, and waited for; an answer that comes later still counts
//	(nothing)  it answered: the record is dropped
//
// An upgrade deploys the new VM beside the old one, which the record names:
//
//	importing, made
//	switched   the old VM keeps no journal, asked right before it was powered off
//	heard      the new VM answers: the old one is destroyed, the new one gets its name
//	back       refused, or never heard: the new VM is destroyed, the old one powered on
//
// A transporter that answers and keeps no journal may be removed, and so may one that
// never answered. One that does not answer any more may keep a journal.
//
// The service never removes a snapshot, VM or disk that is not known to be Tidemark's,
// and never detaches a disk whose device the operating system still holds.
package vcenter
