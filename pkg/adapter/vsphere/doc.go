// Package vsphere is the adapter to one vCenter or ESXi host, through govmomi.
// Everything it takes and gives is in the words of package vms.
//
// What it never does: it keeps no state of its own that must survive, decides
// nothing about jobs, and never waits without an end: every call takes a
// context, and a session that expired is begun again.
//
// # Trust
//
// A server's certificate is always checked, before the password is sent: by its
// thumbprint, by the CA that is given, or by those of the system. An ESXi host
// that the vCenter names for an upload may have the thumbprint that the vCenter
// tells instead.
//
// # Tests
//
// TestContract runs at a simulated vCenter (package vspheretest), and at a real
// one when the environment names it. It makes and removes small VMs, whose
// names begin with "tm-"; nothing else is touched.
//
//	TIDEMARK_VCENTER_URL            https://vcenter.example.com
//	TIDEMARK_VCENTER_THUMBPRINT     of its certificate, or
//	TIDEMARK_VCENTER_CA             a PEM file
//	TIDEMARK_VCENTER_USER           tidemark@vsphere.local
//	TIDEMARK_VCENTER_PASSWORD_FILE  a file with the password
//	TIDEMARK_VCENTER_HOST           where VMs are made; the first if not given
//	TIDEMARK_VCENTER_DATASTORE      likewise
//	TIDEMARK_VCENTER_NETWORK        likewise
//
//	go test ./vsphere -run TestContract -v
//
// The tests with faults - lost hosts, restarts, clocks that are wrong - always
// run at the simulator.
package vsphere
