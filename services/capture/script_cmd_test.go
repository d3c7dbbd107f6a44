package capture

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/datadriven"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// do executes one command of a script.
func (s *script) do(d *datadriven.TestData) error {
	arg := ""
	if len(d.CmdArgs) > 0 {
		arg = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "start":
		d.ScanArgs(s.t, "mode", (*string)(&s.job.Mode))
		s.job.Frozen = d.HasArg("frozen")
		if s.job.frozen() || s.job.Mode == cdp.Tap {
			s.job.Disks[0].Path = ""
		}
		if s.job.Mode == cdp.CBT {
			s.job.Every = time.Minute
		}
		return s.open()
	case "stop":
		s.end()
		s.print()
		s.g = nil
	case "kill":
		(&world{g: s.g}).crash()
		s.g = nil
	case "restart":
		return s.open()
	case "write":
		var at, n int64
		d.ScanArgs(s.t, "at", &at)
		d.ScanArgs(s.t, "n", &n)
		return s.g.guests.write(0, bytes.Repeat([]byte{1}, int(n)<<10), at<<10)
	case "miss":
		var x extent
		d.ScanArgs(s.t, "at", &x.off)
		d.ScanArgs(s.t, "n", &x.end)
		s.vm.change(extent{x.off << 10, (x.off + x.end) << 10})
	case "mark":
		_, err := s.g.Mark(arg == "requested")
		return err
	case "wait":
		span, err := time.ParseDuration(arg)
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		time.Sleep(span)
	case "stream", "link", "journal", "takeover":
		return s.atBus(d, arg)
	case "last-point":
		return s.lastPoint(arg == "off")
	case "status":
		st := s.g.Status()
		fmt.Fprintf(&s.out, "%s, %d frames unsent, %d KiB dirty\n", st.State, st.Pending, st.DirtyBytes>>10)
		if st.Trouble != nil {
			fmt.Fprintf(&s.out, "trouble: %v\n", st.Trouble)
		}
	default:
		return s.atTap(d)
	}
	return nil
}

func (s *script) open() (err error) {
	if s.g, err = OpenGroup(s.job, s.cfg, s.deps); err == nil {
		s.g.Start()
	}
	return err
}

// atBus does what happens at stream and journal.
func (s *script) atBus(d *datadriven.TestData, arg string) error {
	switch d.Cmd + " " + arg {
	case "stream up", "stream down":
		s.bus.with(func() { s.bus.down = arg == "down" })
	case "stream empty":
		n := 0
		s.bus.with(func() { n = len(s.bus.frames) })
		s.bus.lose(n)
		s.seen = s.bus.last
	case "link up", "link down":
		s.bus.with(func() { s.bus.linkDown = arg == "down" })
	case "journal ":
		s.bus.pull(1 << 20)
		fmt.Fprintf(&s.out, "the journal has write %d\n", s.bus.journal.Head)
	case "takeover ":
		epoch, err := s.bus.next(0)
		if err != nil {
			return err
		}
		b := frame.NewBuilder(make([]byte, frame.SlotSize))
		h := frame.Header{Epoch: epoch, No: s.bus.last + 1, Prev: s.bus.lastHash, First: s.bus.journal.Head + 1, Flags: frame.ExtentStart}
		f := b.Seal(h)
		return s.bus.store(f.Bytes(), false)
	default:
		d.Fatalf(s.t, "unknown command %s %s", d.Cmd, arg)
	}
	return nil
}

// atTap does what a tap's client does.
func (s *script) atTap(d *datadriven.TestData) error {
	switch d.Cmd {
	case "copy-started":
		return s.g.CopyStarted(0)
	case "synced":
		return s.g.Synced(0)
	case "connect":
		s.g.clientCame(0)
	case "live":
		return s.g.Live(0)
	case "unlive":
		s.g.Unlive(0)
	case "goodbye", "vanish":
		s.g.clientGone(0, d.Cmd == "goodbye")
	default:
		d.Fatalf(s.t, "unknown command %s", d.Cmd)
	}
	return nil
}

// lastPoint asks for the last point of a machine that is off or on.
func (s *script) lastPoint(off bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := s.g.LastPoint(ctx, func(context.Context) error {
		if off {
			return nil
		}
		return cdp.Errorf(cdp.Conflict, "see writes", "web", "the VM is on")
	})
	if err == nil {
		fmt.Fprintf(&s.out, "the last write is %d\n", p.Seq)
	}
	return err
}

// scriptVM is the machine of a script: Snapshots of its disk, whose changes are
// tracked.
type scriptVM struct {
	path    string
	mu      sync.Mutex
	changes []extent // that nobody reported
}

func (v *scriptVM) change(x extent) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes = append(v.changes, x)
}

func (v *scriptVM) Freeze(context.Context, Machine, string) (Frozen, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return Frozen{Disks: []FrozenDisk{{Path: v.path, ChangeID: strconv.Itoa(len(v.changes))}}}, nil
}

func (v *scriptVM) Changed(_ context.Context, _ Machine, _ string, _ cdp.DiskID, since string, fn func(off, n int64)) error {
	if since == "*" {
		fn(0, 256<<10)
		return nil
	}
	from, err := strconv.Atoi(since)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, x := range v.changes[from:] {
		fn(x.off, x.end-x.off)
	}
	return nil
}

func (v *scriptVM) Thaw(context.Context, Machine, string) error { return nil }
