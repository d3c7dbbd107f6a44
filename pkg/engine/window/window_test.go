package window

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/seedtest"
)

var id = Identity{Group: "shop", Boot: "boot-1"}

func mustOpen(t testing.TB, path string, id Identity, slots int, restored bool) *Window {
	t.Helper()
	w, got, err := Open(path, id, slots, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got != restored {
		t.Fatalf("restored %v, want %v", got, restored)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// A random life of a window, closed and opened again at any point, against a
// list of frames that are lists of writes.
func TestAWindowIsWhatWasPutIntoIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 1))
	l := &life{t: t, path: filepath.Join(t.TempDir(), "w")}
	l.w = mustOpen(t, l.path, id, lifeSlots, false)
	for l.step = range 3000 {
		l.act(rng)
		l.check()
	}
}

const lifeSlots = 4

// life is a window and what it must hold.
type life struct {
	t    *testing.T
	path string
	w    *Window
	step int
	ring []*held
	last uint64 // ordinal
}

type held struct {
	ord    uint64
	writes [][]byte
	closed bool
	hash   frame.Hash
}

// open is the open frame, if there is one.
func (l *life) open() *held {
	if n := len(l.ring); n > 0 && !l.ring[n-1].closed {
		return l.ring[n-1]
	}
	return nil
}

func (l *life) act(rng *rand.Rand) {
	open := l.open()
	switch rng.IntN(9) {
	case 0:
		want := len(l.ring) < lifeSlots && open == nil
		if got := l.w.Begin(int64(l.step) * 1000); got != want {
			l.t.Fatalf("step %d: begin %v, want %v", l.step, got, want)
		}
		if want {
			l.last++
			l.ring = append(l.ring, &held{ord: l.last})
		}
	case 1, 2, 3:
		if _, _, full := l.w.OpenFrame(); open == nil || full {
			return
		}
		data := bytes.Repeat([]byte{byte(l.step)}, 512*(1+rng.IntN(512)))
		if !l.w.Room(len(data)) {
			l.t.Fatalf("step %d: no memory for a write", l.step)
		}
		l.w.Append(frame.Record{Offset: int64(l.step) * 512, Length: uint32(len(data)), Kind: frame.Write}, data, int64(l.step)*1000)
		open.writes = append(open.writes, data)
	case 4:
		if open != nil {
			l.w.End(frame.Consistent, int64(l.step))
			open.closed = true
		}
	case 5:
		if len(l.ring) > 0 && l.ring[0].closed {
			l.w.Release(l.ring[0].ord)
			l.ring = l.ring[1:]
		}
	case 6:
		for _, m := range l.ring {
			if !m.closed {
				continue
			}
			f := l.w.Seal(m.ord, frame.Header{Epoch: cdp.Epoch(l.step + 1), No: cdp.FrameNo(m.ord), First: 1}, nil)
			if b := l.w.Before(m.ord); b != m.hash {
				l.t.Fatalf("step %d: the hash before is not the one before", l.step)
			}
			m.hash = f.Hash
		}
	case 7:
		l.w.Trim()
	case 8:
		l.w.Close()
		if len(l.ring) == 0 {
			l.last = 0 // an empty window starts again
		}
		l.w = mustOpen(l.t, l.path, id, lifeSlots, true)
	}
}

func (l *life) check() {
	l.t.Helper()
	w := l.w
	if len(l.ring) > 0 && (w.First() != l.ring[0].ord || w.Last() != l.last) || w.Free() != lifeSlots-len(l.ring) {
		l.t.Fatalf("step %d: holds %d..%d, %d free; the model holds %d frames up to %d", l.step, w.First(), w.Last(), w.Free(), len(l.ring), l.last)
	}
	for _, m := range l.ring {
		if w.Records(m.ord) != len(m.writes) {
			l.t.Fatalf("step %d: frame %d has %d records, want %d", l.step, m.ord, w.Records(m.ord), len(m.writes))
		}
		f, ok := w.Frame(m.ord)
		if ok != (m.hash != frame.Hash{}) {
			l.t.Fatalf("step %d: frame %d sealed: %v", l.step, m.ord, ok)
		}
		if !ok {
			continue
		}
		p, err := frame.Parse(f.Bytes())
		if err == nil {
			err = p.Verify()
		}
		if err != nil || p.Hash != m.hash {
			l.t.Fatalf("step %d: frame %d: %v", l.step, m.ord, err)
		}
		for i, data := range m.writes {
			if !bytes.Equal(p.Data(p.Record(i)), data) {
				l.t.Fatalf("step %d: frame %d write %d differs", l.step, m.ord, i)
			}
		}
	}
}

func TestWhatIsNotOursIsNoWindow(t *testing.T) {
	fill := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "w")
		w := mustOpen(t, path, id, 4, false)
		w.Begin(1)
		w.Room(0)
		w.Append(frame.Record{Length: 512, Kind: frame.Zero}, nil, 1)
		w.Close()
		return path
	}
	t.Run("another boot", func(t *testing.T) {
		w := mustOpen(t, fill(t), Identity{Group: "shop", Boot: "boot-2"}, 4, false)
		if w.Free() != 4 {
			t.Fatal("it holds something")
		}
	})
	t.Run("another group", func(t *testing.T) {
		mustOpen(t, fill(t), Identity{Group: "web", Boot: "boot-1"}, 4, false)
	})
	t.Run("another number of slots", func(t *testing.T) { mustOpen(t, fill(t), id, 5, false) })
	t.Run("a torn file", func(t *testing.T) {
		path := fill(t)
		os.Truncate(path, 3000)
		mustOpen(t, path, id, 4, false)
	})
	t.Run("a broken slot table", func(t *testing.T) {
		path := fill(t)
		f, _ := os.OpenFile(path, os.O_RDWR, 0)
		f.WriteAt([]byte{9}, page+entrySize)
		f.Close()
		mustOpen(t, path, id, 4, false)
	})
	t.Run("ours again", func(t *testing.T) {
		path := fill(t)
		if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
			t.Fatalf("mode %v", st.Mode())
		}
		w := mustOpen(t, path, id, 4, true)
		if _, n, _ := w.OpenFrame(); n != 1 {
			t.Fatalf("%d records", n)
		}
	})
	t.Run("somebody else's directory", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "d")
		os.Mkdir(dir, 0o700)
		os.Chmod(dir, 0o777)
		if _, _, err := Open(filepath.Join(dir, "w"), id, 4, nil); !cdp.Is(err, cdp.Invalid) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a second process", func(t *testing.T) {
		path := fill(t)
		mustOpen(t, path, id, 4, true)
		if _, _, err := Open(path, id, 4, nil); !cdp.Is(err, cdp.Conflict) {
			t.Fatalf("got %v", err)
		}
	})
}

func BenchmarkAppend4K(b *testing.B) {
	w := mustOpen(b, filepath.Join(b.TempDir(), "w"), id, 8, false)
	data := make([]byte, 4096)
	b.SetBytes(4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		open, _, full := w.OpenFrame()
		if full {
			w.End(0, 0)
			open = false
		}
		if !open {
			if w.Free() == 0 {
				w.Release(w.First())
			}
			w.Begin(0)
		}
		w.Room(len(data))
		w.Append(frame.Record{Offset: int64(i) * 4096, Length: 4096, Kind: frame.Write}, data, 0)
	}
}
