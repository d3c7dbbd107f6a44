// Package spec reads what users write: files of apiVersion, kind, metadata and
// spec, in YAML or JSON, several documents to a file.
//
// A file is decoded strictly, checked by the schemas of tidemark.dev/schemas
// and by the rules that a schema cannot say, and given as plain structs with
// every default filled in. All that is wrong with a file is told at once, each
// with its line, its field and the rule.
//
//	Site            a site: one NATS domain and what is managed through it
//	ReplicationJob  the disks of one group, replicated from a site to a site
//	                (Object.Job), or VMs, each a group of its own (Object.VMJob)
//
// What it never does: it does not look at the machine, nor at a vCenter. Whether
// a path exists, a site is reachable or a VM is there is for whoever applies the
// spec to find out.
package spec
