// Package vsphere is the adapter to one vCenter or ESXi host, through govmomi.
// Everything it takes and gives is in the words of package vms.
//
// What it never does: it keeps no state of its own that must survive, decides
// nothing about jobs, and never waits without an end: every call takes a
// context, and a session that expired is begun again.
package vsphere
