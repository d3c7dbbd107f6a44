// Package guest runs real virtual machines for end-to-end tests and for the
// demo: a Debian kernel and a PostgreSQL database with an acknowledged workload,
// in QEMU without KVM (TCG). What a guest says on its serial console is the
// oracle that counts: a row it printed as acknowledged must be in every later
// recovery point, and what it reads from a recovered pair of disks must be a
// state the pair once had.
//
// The guest has two disks. The root disk (/dev/vda) holds the operating system,
// the database's data files and a witness file; the data disk (/dev/vdb) holds
// the write-ahead log. Two disks recovered to different moments therefore show:
//
//   - root newer than log: the log ends before the data files' pages, or the
//     witness file announces more rows than the ledger can have;
//   - log newer than root: the ledger has rows the witness file never announced.
//
// In order, one test's use of the package:
//
//  1. Prepare builds kernel, initramfs and disk images once, into a cache that
//     is keyed by a hash of everything the build is made from.
//  2. Images.Clone copies the two disks.
//  3. Boot starts QEMU on drives that are raw files, NBD exports, or either
//     below QEMU's write log (package oracle reads the log).
//  4. The VM is watched through its serial console, driven through QMP, killed.
//  5. CheckLedger boots a second guest on the disks under test and reports.
//
// The package never touches the product, never installs software, never skips
// silently, and leaves no process behind: QEMU dies with the test, however the
// test dies.
//
// Environment:
//
//	TIDEMARK_CACHE        directory of the built images (default: the user's
//	                      cache directory, tidemark/guest below it)
//	TIDEMARK_GUEST=0      skip guest tests, loudly; fatal under CI=true
//	TIDEMARK_APT_SOURCES  colon separated apt source files to build from
//	                      (default: the machine's own)
package guest
