package capture

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/window"
)

// outbox is the frames in the window, from their first write until the journal
// has them. order.mu guards it.
//
// A frame has an ordinal as long as it is in the window, and a number once the
// group has a place in its stream.
type outbox struct {
	win *window.Window
	// acked <= sent <= sealed <= win.Closed() are ordinals, and
	// win.First() <= acked+1: a frame leaves the window only once the stream has it.
	acked, sent, sealed uint64
	// The frame with ordinal from follows base in the stream, so the one with
	// ordinal o has number base.No + o-from+1.
	from uint64
	base ref
	// seq is what the last write in the window would have, were all of it sealed now.
	seq     cdp.Seq
	wrote   int64       // the time of that write, ns since 1970
	durable cdp.FrameNo // the newest frame that the journal is known to have
}

// open opens the group's window. It looks first where a window had to fall back to.
func (b *outbox) open(group cdp.GroupID, cfg Config, deps GroupDeps) (restored bool, err error) {
	id := window.Identity{Group: group, Boot: deps.Boot}
	name := string(group) + ".window"
	fallback := filepath.Join(cfg.StateDir, name)
	if _, err := os.Lstat(fallback); !errors.Is(err, fs.ErrNotExist) {
		if b.win, restored, err = window.Open(fallback, id, cfg.Slots, deps.Windows); restored || cdp.Is(err, cdp.Conflict) {
			return restored, err
		}
		if err == nil {
			b.win.Close()
		}
		b.win = nil
		os.Remove(fallback)
	}
	b.win, restored, err = window.Open(filepath.Join(cfg.WindowDir, name), id, cfg.Slots, deps.Windows)
	if err != nil && !cdp.Is(err, cdp.Conflict) {
		b.win, restored, err = window.Open(fallback, id, cfg.Slots, deps.Windows)
	}
	return restored, err
}

// number is the frame number of an ordinal. It holds while the group is attached.
func (b *outbox) number(ord uint64) cdp.FrameNo {
	return cdp.FrameNo(int64(b.base.No) + int64(ord) - int64(b.from) + 1)
}

// pending is how many closed frames the stream lacks.
func (b *outbox) pending() int { return int(b.win.Closed() - b.acked) }

// unanswered is how many frames were published and not yet acknowledged.
func (b *outbox) unanswered() int { return int(b.sent - b.acked) }

// hasOpenWrites reports whether a frame is open and has writes.
func (b *outbox) hasOpenWrites() bool {
	open, n, _ := b.win.OpenFrame()
	return open && n > 0
}

// ack notes that the stream has every frame up to no, and returns that frame.
// ok is false if that is not new, or of a frame that was never sealed.
func (b *outbox) ack(no cdp.FrameNo) (f frame.Frame, ok bool) {
	ord := b.acked + uint64(no-b.number(b.acked))
	if no <= b.number(b.acked) || ord > b.sealed {
		return f, false
	}
	f, _ = b.win.Frame(ord)
	b.acked, b.sent = ord, max(b.sent, ord)
	return f, true
}

// release frees the frames up to no, which the stream and the journal have.
func (b *outbox) release(no cdp.FrameNo) {
	if back := int64(b.number(b.acked)) - int64(no); back >= 0 && int64(b.acked) > back {
		b.win.Release(b.acked - uint64(back))
	}
	b.durable = max(b.durable, no)
}

// put makes ordinal from the frame that follows base; it and all after it are to
// be sent. With reseal they get new headers.
func (b *outbox) put(from uint64, base ref, reseal bool) {
	b.from, b.base = from, base
	b.acked, b.sent = from-1, from-1
	if reseal || b.sealed < from {
		b.sealed = from - 1
	}
	b.seq = base.Last
	for ord := from; ord <= b.win.Last(); ord++ {
		b.seq += cdp.Seq(b.win.Records(ord))
	}
}

// held are the closed frames, in order.
func (b *outbox) held() (out []held) {
	for ord := b.win.First(); ord <= b.win.Closed(); ord++ {
		h := held{ord: ord, before: b.win.Before(ord)}
		var f frame.Frame
		f, h.sealed = b.win.Frame(ord)
		h.Header = f.Header
		out = append(out, h)
	}
	return out
}
