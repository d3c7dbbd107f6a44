// Package spoolshare divides the disk space that a site has for frames waiting to
// be sent (its spool) among the groups captured there. It is pure arithmetic: it
// never measures a disk and never resizes a stream.
package spoolshare
