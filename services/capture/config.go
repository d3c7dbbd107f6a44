package capture

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/dirty"
	"tidemark.dev/pkg/window"
)

// Config is what an operator may say; zero fields take the default.
type Config struct {
	// StateDir holds dirty maps, and windows that fit nowhere else. Required.
	StateDir string
	// WindowDir holds windows; tmpfs, so that they cost no disk writes.
	// Default /dev/shm/tidemark.
	WindowDir string
	// Slots is how many frames a window holds, about 1 MiB each. Default 32.
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
	// ProgressEvery is how often progress is told at most. Default 1 s.
	ProgressEvery time.Duration
	// DrainTimeout is how long Stop waits for the window to drain. Default 10 s.
	DrainTimeout time.Duration
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
	orDefault(&c.DrainTimeout, 10*time.Second)
	return c
}

func (c Config) check() error {
	const op = "check capture config"
	switch {
	case c.StateDir == "" || !filepath.IsAbs(c.StateDir):
		return cdp.Errorf(cdp.Invalid, op, "stateDir", "%q is no absolute path", c.StateDir)
	case c.Slots < 4 || c.Slots > 4096:
		return cdp.Errorf(cdp.Invalid, op, "slots", "%d is not in 4..4096", c.Slots)
	case c.InFlight < 1 || c.InFlight > c.Slots:
		return cdp.Errorf(cdp.Invalid, op, "inFlight", "%d is not in 1..%d", c.InFlight, c.Slots)
	}
	return nil
}

// Mode says where a group's writes come from.
type Mode string

const (
	// Inline: the disks are behind the exports.
	Inline Mode = "inline"
	// Tap: the exports are told every write; the disks are elsewhere.
	Tap Mode = "tap"
)

// Job is one group to capture.
type Job struct {
	Group  cdp.GroupID
	Mode   Mode
	Disks  []JobDisk
	Listen []Listen
}

// JobDisk is a disk of a job, by ID from 0. Its Name is the export's name.
type JobDisk struct {
	cdp.Disk
	// Path of the image or block device: required inline; for a tap it may be
	// empty, and is only read. Size 0 means the size of what is there.
	Path string
}

// Listen is where clients reach a group's disks.
type Listen struct {
	Network string // "unix" or "tcp"
	Address string
	TLS     *tls.Config // nil: none
	// Mode of a unix socket's file. Default 0600.
	Mode os.FileMode
}

func (j Job) check() error {
	const op = "check capture job"
	if err := cdp.CheckName("group", string(j.Group)); err != nil {
		return err
	}
	if j.Mode != Inline && j.Mode != Tap {
		return cdp.Errorf(cdp.Invalid, op, "mode", "%q is neither inline nor tap", j.Mode)
	}
	if len(j.Disks) == 0 {
		return cdp.Errorf(cdp.Invalid, op, "disks", "none")
	}
	names := map[string]bool{}
	for i, d := range j.Disks {
		switch {
		case int(d.ID) != i:
			return cdp.Errorf(cdp.Invalid, op, "disks.id", "%d at place %d", d.ID, i)
		case d.Name == "" || names[d.Name]:
			return cdp.Errorf(cdp.Invalid, op, "disks.name", "%q is empty or used twice", d.Name)
		case d.Size < 0 || d.Size%cdp.SectorSize != 0 || d.Size == 0 && d.Path == "":
			return cdp.Errorf(cdp.Invalid, op, "disks.size", "%d is no multiple of %d", d.Size, cdp.SectorSize)
		case d.Path == "" && j.Mode == Inline:
			return cdp.Errorf(cdp.Invalid, op, "disks.path", "inline needs one")
		}
		names[d.Name] = true
	}
	for _, l := range j.Listen {
		if l.Network != "unix" && l.Network != "tcp" {
			return cdp.Errorf(cdp.Invalid, op, "listen.network", "%q is neither unix nor tcp", l.Network)
		}
	}
	return nil
}

// Deps is what the binary gives the service.
type Deps struct {
	// Stream opens the stream of a group; it need not reach the bus yet.
	Stream  func(cdp.GroupID) (Stream, error)
	Epochs  Epochs
	Journal Journal
	Events  Events
	Clock   Clock                                          // nil: SystemClock
	Boot    string                                         // "": this machine's boot id
	Disk    func(path string, readOnly bool) (Disk, error) // nil: OpenDisk
}

func (d Deps) withDefaults() (Deps, error) {
	if d.Clock == nil {
		d.Clock = SystemClock{}
	}
	if d.Events == nil {
		d.Events = noEvents{}
	}
	if d.Disk == nil {
		d.Disk = OpenDisk
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

func (j Job) identity(boot string) dirty.Identity {
	id := dirty.Identity{Group: j.Group, Boot: boot}
	for _, d := range j.Disks {
		id.Disks = append(id.Disks, d.Disk)
	}
	return id
}
