// Package vcsim runs a vCenter (or an ESXi host) for tests and the lab:
// govmomi's simulator over real SOAP, extended by what replication needs and
// the stock one lacks. Disks have content, snapshots freeze it, changed block
// tracking tells the truth about it, files are locked by running VMs, I/O
// filters have a state on each host, hosts have clocks, and any method can be
// made to fail.
//
// # How it hooks in
//
// Nothing of govmomi is forked. The registry's Handler sees every call first
// (gate.go): it injects faults, checks privileges, and sends a call to an
// object of ours when that object has a method of the same name (vmMethods,
// snapshotMethods, ...). Ours mostly calls the stock method inside and then
// makes real what the stock one only says. All of it that touches a datastore
// runs under one storage lock (task.go), because the stock storage tasks race
// with each other.
//
// # Where a disk's bytes are
//
// A virtual disk is an image: a tree of nodes, each a datastore path as the API
// shows it and a local file. The file that the guest writes to is always the
// base's -flat.vmdk, whatever the live node is called. A snapshot copies it to a
// frozen file, gives that to the node the snapshot keeps, and moves the live
// node to NAME-00000N.vmdk. So a guest that has the flat file open (a QEMU in
// the lab) never has to reopen anything.
//
// # What it does not do
//
// No redo logs for nonpersistent disks (who writes to one spoils the frozen
// file), no memory snapshots, no storage vMotion, no DRS or HA, no linked
// clones. A site started again on its old directory has its VMs, but not their
// snapshots (persist.go).
package vcsim
