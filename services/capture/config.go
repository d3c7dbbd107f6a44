package capture

import (
	"crypto/ed25519"
	"path/filepath"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/window"
)

// Config is what may be configured; zero fields take the default.
type Config struct {
	// StateDir holds dirty maps, and windows that fit nowhere else. Required.
	StateDir string
	// WindowDir holds windows; tmpfs, so that they cost no disk writes.
	// Default /dev/shm/tidemark.
	WindowDir string
	// Slots is how many frames a window may hold, at most about 1 MiB each: it takes
	// memory only for what it holds. Default 32.
	Slots int
	// InFlight is how many frames may be unanswered before a frame that is not
	// full waits for more writes. Default 4.
	InFlight int
	// Gap is the least time between two frames that are not full: a quarter of it
	// for frames of a few writes. Default 750 µs.
	Gap time.Duration
	// AckTimeout is how long the stream may take to answer. Default 5 s.
	AckTimeout time.Duration
	// RetryMin and RetryMax bound the pause after a failure. 50 ms, 2 s.
	RetryMin, RetryMax time.Duration
	// AskTimeout bounds one question to stream, journal or epochs. 5 s.
	AskTimeout time.Duration
	// ActivityEvery is how often durable activity is forgotten. Default 1 s.
	ActivityEvery time.Duration
	// OverflowHold is the shortest stay in overflow, so that a guest that is
	// faster than the stream does not make the state flap. Default 1 s.
	OverflowHold time.Duration
	// ProgressEvery is the least time between two reports of progress. Default 1 s.
	ProgressEvery time.Duration
	// LookEvery is how often the disks of an inline group are looked at, for others
	// that write them. Default 10 s.
	LookEvery time.Duration
	// DrainTimeout is how long Stop waits for the window to drain. Default 10 s.
	DrainTimeout time.Duration
	// LastPointTimeout is how long the last point of a VM that is off may take: its
	// disks are read. Default 10 min.
	LastPointTimeout time.Duration
	// ApplyRetry is the pause before a job that could not be captured, or
	// forgotten, is tried again. Default 15 s.
	ApplyRetry time.Duration
	// EmitTimeout bounds the publishing of one event. Default 2 s.
	EmitTimeout time.Duration
	// PassRetryMin and PassRetryMax bound the pause after a pass over frozen
	// disks failed, or what it left could not be removed. 1 s, 1 min.
	PassRetryMin, PassRetryMax time.Duration
	// PassStall is how long a pass may wait for the stream without any progress
	// before it gives up its snapshot; a later pass continues. Default 10 min.
	PassStall time.Duration
	// ThawTimeout is how long a group that is being stopped tries to remove what
	// its pass made. Default 30 s; what is left is removed at the next start.
	ThawTimeout time.Duration
	// Touched bounds the memory for writes to dirty regions during a pass: the
	// number of aligned MiB they may lie in, about 300 bytes each. A write beyond
	// it is left to the next pass. Default 262144: 256 GiB, at most 80 MB.
	Touched int
}

// gap is how long after the last frame one of n writes may be closed.
func (c Config) gap(n int) time.Duration {
	if n < 8 {
		return c.Gap / 4
	}
	return c.Gap
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// WithDefaults fills what was left zero.
func (c Config) WithDefaults() Config {
	orDefault(&c.WindowDir, "/dev/shm/tidemark")
	orDefault(&c.Slots, 32)
	orDefault(&c.InFlight, 4)
	orDefault(&c.Gap, 750*time.Microsecond)
	orDefault(&c.AckTimeout, 5*time.Second)
	orDefault(&c.RetryMin, 50*time.Millisecond)
	orDefault(&c.RetryMax, 2*time.Second)
	orDefault(&c.AskTimeout, 5*time.Second)
	orDefault(&c.ActivityEvery, time.Second)
	orDefault(&c.OverflowHold, time.Second)
	orDefault(&c.ProgressEvery, time.Second)
	orDefault(&c.LookEvery, 10*time.Second)
	orDefault(&c.DrainTimeout, 10*time.Second)
	orDefault(&c.LastPointTimeout, 10*time.Minute)
	orDefault(&c.ApplyRetry, 15*time.Second)
	orDefault(&c.EmitTimeout, 2*time.Second)
	orDefault(&c.PassRetryMin, time.Second)
	orDefault(&c.PassRetryMax, time.Minute)
	orDefault(&c.PassStall, 10*time.Minute)
	orDefault(&c.ThawTimeout, 30*time.Second)
	orDefault(&c.Touched, 1<<18)
	return c
}

func (c Config) check() error {
	const op = "check capture config"
	switch {
	case c.StateDir == "" || !filepath.IsAbs(c.StateDir):
		return cdp.Errorf(cdp.Invalid, op, "stateDir", "%q is not an absolute path", c.StateDir)
	case c.Slots < 4 || c.Slots > 4096:
		return cdp.Errorf(cdp.Invalid, op, "slots", "%d is not in 4..4096", c.Slots)
	case c.InFlight < 1 || c.InFlight > c.Slots:
		return cdp.Errorf(cdp.Invalid, op, "inFlight", "%d is not in 1..%d", c.InFlight, c.Slots)
	}
	return nil
}

// GroupDeps is what groups need.
type GroupDeps struct {
	// Stream makes the stream of a group; it need not reach the bus yet.
	Stream  func(cdp.GroupID) (Stream, error)
	Epochs  Epochs
	Journal Journal
	Events  Events
	Clock   clock.Clock                                    // nil: the machine's
	Boot    string                                         // "": this machine's boot id
	Disk    func(path string, readOnly bool) (Disk, error) // opens the image or block device at path
	Servers DiskServers                                    // nil: no job can be listened for here
	// Key signs recovery points; nil: they are not signed.
	Key ed25519.PrivateKey
	// Windows is the memory that the windows of all groups share; nil: no limit.
	Windows *window.Budget
	// Snapshots freezes disks; nil: no job can be frozen here.
	Snapshots Snapshots
	// Timings hears how long writes take; nil: nobody.
	Timings Timings
	// Sums asks the target; nil: nothing is verified, everything is sent.
	Sums Sums
}

func (d GroupDeps) withDefaults() (GroupDeps, error) {
	if d.Clock == nil {
		d.Clock = clock.System
	}
	if d.Events == nil {
		d.Events = noEvents{}
	}
	if d.Timings == nil {
		d.Timings = noTimings{}
	}
	if d.Boot == "" {
		var err error
		if d.Boot, err = window.BootID(); err != nil {
			return d, err
		}
	}
	return d, nil
}

type noEvents struct{}

func (noEvents) StateChanged(Change)               {}
func (noEvents) Progress(Progress)                 {}
func (noEvents) ListenerFailed(cdp.GroupID, error) {}
