// Command ova builds Tidemark's own transporter, an OVA: Debian's kernel for clouds, an
// initial RAM disk with the static binary tidemark and nothing else, and a boot loader.
//
//	go run ./e2e/ova -bin bin/tidemark -o bin/tidemark-transporter.ova
//
// Its tests boot what it builds, in QEMU, on VMware's own devices: it is deployed through
// a simulated vCenter, joins a site's bus, keeps a journal, and is upgraded. The package
// pkg/adapter/appliance is what runs in it; deploy/appliance has its other parts.
package main
