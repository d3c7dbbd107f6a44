// Package spec reads what users write: files of apiVersion, kind, metadata and
// spec, in YAML or JSON, with any number of documents to a file.
//
// A file is decoded strictly, checked by the schemas of tidemark.dev/schemas
// and by the rules that a schema cannot express, and returned as plain structs with
// every default filled in. Every problem of a file is reported at once, with its
// line, its field and the rule.
//
//	Site            a site: one NATS domain and what is managed through it
//	ReplicationJob  the disks of one group, replicated from a site to a site
//	                (Object.Job), or VMs, each a group of its own (Object.VMJob)
//	SiteRecoveryJob ordered actions that recover a site (Object.Plan)
//
// What it never does: it does not look at the machine, nor at a vCenter, nor at
// what is stored. Whether a path exists, a VM is there or a name is taken is for the
// service that owns the kind to find out.
package spec
