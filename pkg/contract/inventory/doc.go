// Package inventory has the words of a vCenter and the pure rules over them: what a
// VM, its hardware, a host or a datastore is; which VMs a job means; what
// stands in the way of protecting one; what its replica is made of.
//
// A thing is never known by its reference alone: a reference means something at
// one vCenter only. A VM is known by its instance UUID, a disk by its UUID and,
// within its VM, by its device key.
//
// What it never does: it talks to nobody, and holds no clock.
package inventory
