// Package vsphere is the adapter to one vCenter or ESXi host, through govmomi. Its
// arguments and results are the types of pkg/contract/inventory.
//
// It never keeps state that must survive, never decides anything about jobs, and never
// waits without an end: every call takes a context, and a session that expired is
// begun again.
//
// # Trust
//
// A server's certificate is always verified before the password is sent: by its
// thumbprint, by the given CA, or by the system's. An ESXi host that the vCenter names
// for an upload may have the thumbprint that the vCenter reports instead.
//
// # Tests
//
// TestContract runs at a simulated vCenter (package vcsim), and at a real one if the
// environment names it. It makes and removes small VMs whose names begin with "tm-",
// and touches nothing else, but for the guest that is named for it: there it runs
// scripts, and sets the addresses that the guest has.
//
//	TIDEMARK_VCENTER_URL            https://vcenter.example.com
//	TIDEMARK_VCENTER_THUMBPRINT     of its certificate, or
//	TIDEMARK_VCENTER_CA             a PEM file
//	TIDEMARK_VCENTER_USER           tidemark@vsphere.local
//	TIDEMARK_VCENTER_PASSWORD_FILE  a file with the password
//	TIDEMARK_VCENTER_HOST           where VMs are made; default: the first
//	TIDEMARK_VCENTER_DATASTORE      likewise
//	TIDEMARK_VCENTER_NETWORK        likewise
//	TIDEMARK_VCENTER_NETWORK2       another one
//	TIDEMARK_VCENTER_GUEST          a running VM with VMware Tools, and static addresses
//	TIDEMARK_VCENTER_GUEST_USER     root, or an administrator of Windows
//	TIDEMARK_VCENTER_GUEST_PASSWORD_FILE  a file with the password
//	TIDEMARK_VCENTER_GUEST_WINDOWS  not empty if it runs Windows
//
//	go test ./pkg/adapter/vsphere -run Contract -v
//
// Tests with faults (lost hosts, restarts, wrong clocks) always run at the simulator.
package vsphere
