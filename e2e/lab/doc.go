// Command lab runs two vSphere sites on this machine: simulated vCenters whose
// VMs are real guests. Power on a VM there, with tidemark, govc or any other
// client, and QEMU boots a Debian with PostgreSQL on that VM's disks; power it
// off, and QEMU is gone. Tidemark runs at both sites and protects the VM db01.
//
//	lab                    both sites with everything, for a person to play with
//	lab vcenter --name X   one simulated vCenter with its guests, as one process
//
// One vCenter's directory:
//
//	site.yaml             what `tidemark apply -f` is given; its being there says
//	                      that the vCenter serves
//	credentials.yaml      the vCenter's user and password
//	datastores/           the disks
//	dev/<vm>/             a VM's disks, as its guest would have them in
//	                      /dev/disk/by-id
//	vms/<vm>/serial.log   the console of the newest boot
//	vms/<vm>/boot<n>/     of each boot: serial.log and qemu.log
//	vms/<vm>/tap-*.log    what the I/O filter's daemons say
//	s/                    sockets
//
// A VM has a guest if it has two disks of the guest's sizes and not the setting
// lab.boot=no. The guest has no network; what it tells is on its console.
//
// A VM is plain if it is made as NAME:plain: it has no database, and costs little.
//
// The process's death, kill -9 included, is the death of vCenter, hosts and
// guests: nothing it started survives it. What is in its directory does: with --again it
// is the same vCenter, and its VMs are off.
package main
