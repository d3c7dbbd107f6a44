// Package subjects names what is on the bus: subjects, streams, buckets,
// keys, and the services that have a user of their own.
//
// What it never does: it sends nothing.
package subjects
