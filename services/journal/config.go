package journal

import (
	"path/filepath"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/vault"
)

// Config are the service's settings; zero values mean the defaults.
type Config struct {
	// Dir holds the exports: their sockets, records and scratch. Required.
	Dir string
	// Locks holds the records of retention locks. Default: locks beside Dir.
	Locks string
	// Signers holds the keys that source sites sign with. Default: signers beside Dir.
	Signers string
	// Transporter is the name of the appliance that the service runs on; empty
	// on another machine.
	Transporter string
	// BatchBytes is the most that is made durable at once. Default 16 MiB.
	BatchBytes int
	// Queue is how many frames may wait between the bus and the disk. Default 32.
	Queue int
	// Beat is how soon the newest durable frame is announced again, and how often
	// base and horizon are checked. Default 500 ms.
	Beat time.Duration
	// ClockEvery is how often the source's clock is measured. Default 10 s.
	ClockEvery time.Duration
	// Reserve is how much space stays free in the journals' file system, beside what
	// is reserved for failovers: below it no more frames are stored. Default 256 MiB.
	Reserve int64
	// LeastLimit is what a smaller size limit counts as, in bytes: a store needs that
	// much to work. Default 64 MiB.
	LeastLimit int64
	// ScrubEvery is how long after a scrub of a group the next begins. Default 24 h.
	ScrubEvery time.Duration
	// ScrubRate is how fast replicas are read by scrubs, all together, in bytes a
	// second. Default 32 MiB.
	ScrubRate int64
	// Vault are the settings of each group's engine.
	Vault vault.Config
}

func (c Config) withDefaults() Config {
	c.Vault.Straight = true // a seed is not kept
	def := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	if c.Locks == "" {
		c.Locks = filepath.Join(filepath.Dir(c.Dir), "locks")
	}
	if c.Signers == "" {
		c.Signers = filepath.Join(filepath.Dir(c.Dir), "signers")
	}
	if c.BatchBytes == 0 {
		c.BatchBytes = 16 << 20
	}
	if c.Queue == 0 {
		c.Queue = 32
	}
	if c.Reserve == 0 {
		c.Reserve = 256 << 20
	}
	if c.LeastLimit == 0 {
		c.LeastLimit = 64 << 20
	}
	if c.ScrubRate == 0 {
		c.ScrubRate = 32 << 20
	}
	def(&c.ScrubEvery, 24*time.Hour)
	def(&c.Beat, 500*time.Millisecond)
	def(&c.ClockEvery, 10*time.Second)
	return c
}

// GroupSpec is what a job says to the journal.
type GroupSpec struct {
	Group  cdp.GroupID
	Source cdp.Site
	// Names, Sizes and Paths are the disks' names, sizes (0: what the source says) and
	// images, by disk.
	Names []string
	Sizes []int64
	Paths []string
	// Removed are since when the source is known to lack a disk, by disk; zero: it has it.
	Removed []time.Time
	Mode    cdp.JournalMode
	// History is how long points are kept after they were stored. Limit is the most
	// bytes that the journal's files may take, 0 for no limit.
	History time.Duration
	Limit   int64
	// MergeEvery is how far base may fall behind in roll-forward mode, by the time since
	// points were stored, until it is brought up to the newest point. 0: horizon alone moves it.
	MergeEvery time.Duration
	// Adopt: the images of a new group hold a seed already. They must exist, and the
	// first writes are applied on top of what they hold.
	Adopt bool
	// Lock is how long points are held, whatever comes; 0: no lock.
	Lock time.Duration
	// Job is the job's description; nil: not known.
	Job *spec.ReplicationJob
}
