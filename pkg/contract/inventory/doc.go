// Package inventory is the vocabulary of a vCenter as it crosses processes: a
// VM and its hardware, hosts, datastores and networks, jobs on VMs, their members
// and problems.
//
// A managed object reference is valid at one vCenter only, so references never
// identify a thing across sites. A VM is identified by its instance UUID, a disk
// by its UUID and, within its VM, by its device key.
//
// The rules over these types, such as which VMs a job protects and what prevents
// it, are in pkg/core/vmpolicy. This package never does I/O and has no clock.
package inventory
