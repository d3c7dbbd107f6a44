package pebblestore

import (
	"encoding/json"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// Group is the store of one group.
type Group struct {
	s   *store
	num uint32
	// tables counts the tables of frames that were begun and are not linked in.
	tables sync.WaitGroup
	// failure of a table of frames: what was begun after it must not get into the
	// database, or a frame would be missing. Load resets it.
	mu     sync.Mutex
	failed error
	// dropped is below which frames were dropped since the database was opened.
	// They are not dropped again: nested range deletions cost every new reader time
	// and memory by the square of their number.
	dropped cdp.FrameNo
}

func (g *Group) droppedBelow() cdp.FrameNo {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dropped
}

func (g *Group) setDropped(no cdp.FrameNo) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropped = max(g.dropped, no)
}

func (g *Group) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

func (g *Group) setFailure(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed = err
}

var _ vault.Store = (*Group)(nil)

func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *cdp.Error
	if errors.As(err, &e) {
		return cdp.Wrap(err, op, "")
	}
	kind := cdp.Internal
	switch {
	case pebble.IsCorruptionError(err):
		kind = cdp.Corrupt
	case isFull(err):
		kind = cdp.Full
	}
	return &cdp.Error{Op: op, Kind: kind, Cause: err}
}

func (g *Group) iter(lower, upper []byte) (iterator, error) {
	db := g.s.use()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		db.done()
	}
	return iterator{it, db}, err
}

// get calls fn with the value of a key, unless there is none.
func (g *Group) get(k []byte, fn func(v []byte) error) (found bool, err error) {
	db := g.s.use()
	defer db.done()
	v, c, err := db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = fn(v)
	if e := c.Close(); err == nil {
		err = e
	}
	return true, err
}

// Load returns what the store holds. It opens anew a database that has ended.
func (g *Group) Load() (vault.Loaded, error) {
	g.tables.Wait()
	if err := g.s.open(); err != nil {
		return vault.Loaded{}, err
	}
	g.mu.Lock()
	g.failed, g.dropped = nil, 0
	g.mu.Unlock()
	l, err := g.read(0)
	l.Layouts = g.s.says().Layouts
	return l, err
}

// read is what the store holds, of the frames those below number before; 0: all.
func (g *Group) read(before cdp.FrameNo) (vault.Loaded, error) {
	var l vault.Loaded
	var err error
	if l.State, l.Indexed, err = g.state(); err != nil {
		return l, err
	}
	end := g.key(nil, kindFrame+1)
	if before != 0 {
		end = g.frameKey(nil, before, 0)
	}
	it, err := g.iter(g.key(nil, kindFrame), end)
	if err != nil {
		return l, failed("load group", err)
	}
	defer it.Close()
	if it.First() {
		l.Oldest, _ = frameOfKey(it.Key())
	}
	if it.Last() {
		no, _ := frameOfKey(it.Key())
		if !it.SeekGE(g.frameKey(nil, no, 0)) {
			return l, cdp.Errorf(cdp.Corrupt, "load group", "", "frame %d has no header", no)
		}
		h, err := frame.ParseHeader(it.Value())
		if err != nil {
			return l, failed("load group", err)
		}
		l.Newest = &h
	}
	return l, failed("load group", it.Error())
}

// state is the group's state, and up to which frame it is indexed.
func (g *Group) state() (st vault.State, indexed cdp.FrameNo, err error) {
	_, err = g.get(g.key(nil, kindState), func(v []byte) error {
		if err := json.Unmarshal(v, &st); err != nil {
			return &cdp.Error{Op: "load group", Kind: cdp.Corrupt, Subject: "state", Cause: err}
		}
		return nil
	})
	if err == nil {
		_, err = g.get(g.key(nil, kindIndexed), func(v []byte) error {
			if len(v) != 8 {
				return cdp.Errorf(cdp.Corrupt, "load group", "", "the mark of what is indexed has %d bytes", len(v))
			}
			indexed = cdp.FrameNo(be.Uint64(v))
			return nil
		})
	}
	return st, indexed, failed("load group", err)
}

// runs is up to which frame entries are in the index, even if a damaged log has lost that
// it is indexed so far; 0 if that is not known.
func (g *Group) runs() (upTo cdp.FrameNo) {
	_, _ = g.get(g.key(nil, kindRuns), func(v []byte) error { // damaged: it costs what needs the index
		if len(v) == 8 {
			upTo = cdp.FrameNo(be.Uint64(v))
		}
		return nil
	})
	return upTo
}

// Tables calls fn for the stored frames in [from, to].
func (g *Group) Tables(from, to cdp.FrameNo, fn func(frame.Table) error) error {
	it, err := g.iter(g.frameKey(nil, from, 0), g.frameKey(nil, to+1, 0))
	if err != nil {
		return failed("read frames", err)
	}
	defer it.Close()
	var k []byte
	for ok := it.First(); ok; {
		no, part := frameOfKey(it.Key())
		if part != 0 {
			return cdp.Errorf(cdp.Corrupt, "read frames", "", "frame %d has no header", no)
		}
		t, err := table(it.Value())
		if err != nil {
			return err
		}
		if err := fn(t); err != nil {
			return err
		}
		k = g.frameKey(k, no+1, 0)
		ok = it.SeekGE(k)
	}
	return failed("read frames", it.Error())
}

func table(v []byte) (frame.Table, error) {
	if len(v) < frame.HeaderSize {
		return frame.Table{}, cdp.Errorf(cdp.Corrupt, "read frames", "", "a stored header has %d bytes", len(v))
	}
	return frame.ParseTable(v[:frame.HeaderSize], v[frame.HeaderSize:])
}

// Frames is Tables with the payload.
func (g *Group) Frames(from, to cdp.FrameNo, fn func(frame.Table, []byte) error) error {
	it, err := g.iter(g.frameKey(nil, from, 0), g.frameKey(nil, to+1, 0))
	if err != nil {
		return failed("read frames", err)
	}
	defer it.Close()
	var head, payload []byte
	for ok := it.First(); ok; {
		no, part := frameOfKey(it.Key())
		if part != 0 {
			return cdp.Errorf(cdp.Corrupt, "read frames", "", "frame %d has no header", no)
		}
		head = append(head[:0], it.Value()...)
		t, err := table(head)
		if err != nil {
			return err
		}
		payload = payload[:0]
		for ok = it.Next(); ok; ok = it.Next() {
			n, p := frameOfKey(it.Key())
			if n != no {
				break
			}
			if int(p) != len(payload)/pieceSize+1 {
				return cdp.Errorf(cdp.Corrupt, "read frames", "", "a piece of frame %d is missing before %d", no, p)
			}
			payload = append(payload, it.Value()...)
		}
		if len(payload) != t.PayloadLen {
			return cdp.Errorf(cdp.Corrupt, "read frames", "", "frame %d has %d bytes of payload, its header says %d", no, len(payload), t.PayloadLen)
		}
		if err := fn(t, payload); err != nil {
			return err
		}
	}
	return failed("read frames", it.Error())
}

// Payload fills p from the payload of a frame.
func (g *Group) Payload(no cdp.FrameNo, off uint32, p []byte) error {
	var kb [32]byte
	for len(p) > 0 {
		k := g.frameKey(kb[:0], no, uint16(off/pieceSize)+1)
		n := 0
		found, err := g.get(k, func(v []byte) error {
			at := int(off % pieceSize)
			if at >= len(v) {
				return cdp.Errorf(cdp.Corrupt, "read payload", "", "frame %d ends before %d", no, off)
			}
			n = copy(p, v[at:])
			return nil
		})
		if err == nil && !found {
			err = cdp.Errorf(cdp.Corrupt, "read payload", "", "frame %d has no piece at %d", no, off)
		}
		if err != nil {
			return failed("read payload", err)
		}
		p, off = p[n:], off+uint32(n)
	}
	return nil
}

// Points calls fn for every point.
func (g *Group) Points(fn func(cdp.Point) error) error {
	it, err := g.iter(g.key(nil, kindPoint), g.key(nil, kindPoint+1))
	if err != nil {
		return failed("read points", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		var p cdp.Point
		if err := json.Unmarshal(it.Value(), &p); err != nil {
			return &cdp.Error{Op: "read points", Kind: cdp.Corrupt, Cause: err}
		}
		if err := fn(p); err != nil {
			return err
		}
	}
	return failed("read points", it.Error())
}
