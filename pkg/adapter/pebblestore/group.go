package pebblestore

import (
	"encoding/json"
	"errors"
	"sync"
	"syscall"

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
	case errors.Is(err, syscall.ENOSPC):
		kind = cdp.Full
	}
	return &cdp.Error{Op: op, Kind: kind, Cause: err}
}

func (g *Group) iter(lower, upper []byte) (*pebble.Iterator, error) {
	return g.s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

// get copies the value of a key into dst, as far as it goes, and returns its
// length, -1 for none.
func (g *Group) get(k, dst []byte) (int, error) {
	v, c, err := g.s.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	copy(dst, v)
	return len(v), c.Close()
}

// Load returns what the store holds.
func (g *Group) Load() (vault.Loaded, error) {
	g.tables.Wait()
	g.setFailure(nil)
	var l vault.Loaded
	v, c, err := g.s.db.Get(g.key(nil, kindState))
	switch {
	case errors.Is(err, pebble.ErrNotFound):
	case err != nil:
		return l, failed("load group", err)
	default:
		if err := json.Unmarshal(v, &l.State); err != nil {
			return l, &cdp.Error{Op: "load group", Kind: cdp.Corrupt, Subject: "state", Cause: err}
		}
		if err := c.Close(); err != nil {
			return l, failed("load group", err)
		}
	}
	var indexed [8]byte
	if n, err := g.get(g.key(nil, kindIndexed), indexed[:]); err != nil {
		return l, failed("load group", err)
	} else if n > 0 {
		l.Indexed = cdp.FrameNo(be.Uint64(indexed[:]))
	}
	it, err := g.iter(g.key(nil, kindFrame), g.key(nil, kindFrame+1))
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
		v, c, err := g.s.db.Get(k)
		if errors.Is(err, pebble.ErrNotFound) {
			return cdp.Errorf(cdp.Corrupt, "read payload", "", "frame %d has no piece at %d", no, off)
		}
		if err != nil {
			return failed("read payload", err)
		}
		at := int(off % pieceSize)
		if at >= len(v) {
			c.Close()
			return cdp.Errorf(cdp.Corrupt, "read payload", "", "frame %d ends before %d", no, off)
		}
		n := copy(p, v[at:])
		if err := c.Close(); err != nil {
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

// Usage is the space the group's history takes on disk. What is only in the log,
// and the replica's checksums, are not counted.
func (g *Group) Usage() (int64, error) {
	n, err := g.s.db.EstimateDiskUsage(g.key(nil, 0), g.key(nil, kindSum))
	return int64(n), failed("measure group", err)
}
