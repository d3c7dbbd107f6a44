// Package appliance is the operating system of Tidemark's transporter, above its Linux
// kernel: the first process of a machine whose only program is tidemark. The kernel
// starts it from the initial RAM disk; there is no shell, no login and no SSH.
//
//  1. It mounts what a Linux program expects, and loads the drivers.
//  2. It reads its settings: guestinfo.tidemark.* of the VM, or of QEMU's firmware
//     configuration.
//  3. It configures the first network card, by DHCP or by the settings, and the clock
//     by NTP.
//  4. It mounts the data disk, the second disk of the controller that it was booted from.
//     A blank one gets a file system, which is grown to the disk's size, also later.
//  5. It runs tidemark serve or tidemark up, with one capability, as a user of its own,
//     and starts it again whenever it ends.
//
// What is wrong is shown on the console, and tried again until it is mended: settings can
// be changed and disks attached while the machine runs.
//
// It never writes to a disk other than the data disk, and to that one only if it is blank
// or has the file system that the appliance made. The kernel has no LVM, md, multipath or
// file-system drivers that would look at the disks of replicas by themselves.
package appliance
