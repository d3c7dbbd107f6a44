package guesttest

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/oracle"
)

// InFlight is how many writes of a disk may be under way together for Explain.
// Among those no order was ever promised, to the guest or by it. Far more than
// that has never been seen (every point of a tap was exactly a prefix), and the
// smaller it is the less a lost write can hide behind it.
const InFlight = 16

// State is where in the log of its disk's writes an image stands.
type State struct {
	Prefix  int // entries of the log that are all in the image
	Beyond  int // how far behind Prefix the last entry is that is in it; 0: it is exactly the prefix
	Missing int // of those up to the last, how many are not
	Entries int // of the whole log
}

// Exact tells that the image is a prefix of the log, no more and no less.
func (s State) Exact() bool { return s.Beyond == 0 }

func (s State) String() string {
	if s.Exact() {
		return fmt.Sprintf("exactly the first %d of %d logged operations", s.Prefix, s.Entries)
	}
	return fmt.Sprintf("the first %d of %d logged operations, and of the next %d all but %d", s.Prefix, s.Entries, s.Beyond, s.Missing)
}

// Explain finds the state of the disk that an image is. The log has the order in
// which writes completed on the source's disk. With a tap the target's order may
// differ from it between writes that were under way together, as QEMU writes to
// the target only when the source's write is complete: so whole writes may be
// there or not among InFlight neighbours. Nothing else is accepted.
func Explain(ctx context.Context, l *oracle.Log, base, image, scratch string) (State, error) {
	m, err := l.Compare(base, image)
	s := State{Prefix: m.Longest, Entries: len(l.Entries)}
	if err != nil || m.Found {
		return s, err
	}
	nothing := fmt.Errorf("%s is no state the disk went through: nearest to the first %d of %d logged operations, with %d sectors different, the first at %d",
		image, m.Nearest, len(l.Entries), m.Differing, m.Sample)
	from := max(0, m.Nearest-InFlight)
	to := min(len(l.Entries), m.Nearest+InFlight)
	defer os.Remove(scratch)
	if err := guest.CopySparse(ctx, base, scratch); err != nil {
		return s, err
	}
	if err := l.ReplayPrefix(scratch, from); err != nil {
		return s, err
	}
	present, err := whichPresent(l, image, from, to)
	if err != nil {
		return s, err
	}
	// What is there, in the log's order, must give the image.
	if err := l.Replay(scratch, from, to, func(i int, _ oracle.Entry) bool { return !present[i-from] }); err != nil {
		return s, err
	}
	if same, err := Same(scratch, image); err != nil || !same {
		if err == nil {
			err = nothing
		}
		return s, err
	}
	s.Prefix = to
	missing := 0
	for i, p := range present {
		switch {
		case !p && missing == 0:
			s.Prefix, missing = from+i, 1
		case !p:
			missing++
		case missing > 0 && l.Entries[from+i].IsWrite():
			s.Beyond, s.Missing = from+i+1-s.Prefix, missing
		}
	}
	if s.Beyond > InFlight {
		return s, nothing
	}
	return s, nil
}

// whichPresent tells of each entry whether the image holds it: all of its sectors
// that no later present entry has overwritten.
func whichPresent(l *oracle.Log, image string, from, to int) ([]bool, error) {
	f, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	present := make([]bool, to-from)
	later := map[int64]bool{} // sectors of present entries
	for i := to - 1; i >= from; i-- {
		e := l.Entries[i]
		want, err := l.Data(e)
		if err != nil {
			return nil, err
		}
		if !e.IsWrite() {
			present[i-from] = true // nothing of it can be missing
			continue
		}
		have := make([]byte, len(want))
		if _, err := f.ReadAt(have, e.Offset); err != nil {
			return nil, err
		}
		fits := true
		for at := int64(0); at < int64(len(want)) && fits; at += l.SectorBytes {
			fits = later[e.Offset+at] || bytes.Equal(have[at:at+l.SectorBytes], want[at:at+l.SectorBytes])
		}
		present[i-from] = fits
		for at := int64(0); at < int64(len(want)) && fits; at += l.SectorBytes {
			later[e.Offset+at] = true
		}
	}
	return present, nil
}

// Same compares two files.
func Same(a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	sa, err := fa.Stat()
	if err != nil {
		return false, err
	}
	if sb, err := fb.Stat(); err != nil || sb.Size() != sa.Size() {
		return false, err
	}
	const piece = 1 << 20
	pa, pb := make([]byte, piece), make([]byte, piece)
	for at := int64(0); at < sa.Size(); at += piece {
		n := min(piece, sa.Size()-at)
		if _, err := fa.ReadAt(pa[:n], at); err != nil {
			return false, err
		}
		if _, err := fb.ReadAt(pb[:n], at); err != nil {
			return false, err
		}
		if !bytes.Equal(pa[:n], pb[:n]) {
			return false, nil
		}
	}
	return true, nil
}
