// Package vaulttest is for tests of package vault and of its stores: a store
// and a replica in memory, a fuse that makes them lose power, and a deliberately
// simple model of what a journal must answer. It is never part of the product.
package vaulttest

import (
	"context"
	"maps"
	"slices"
	"sort"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// MemStore keeps everything in maps. Each commit is durable at once.
type MemStore struct {
	mu sync.Mutex
	d  memData
}

type memKey struct {
	disk cdp.DiskID
	n    uint64 // block or region
}

type memData struct {
	state   vault.State
	frames  map[cdp.FrameNo][]byte
	indexed cdp.FrameNo
	blocks  map[memKey][]history.Entry // newest first
	wholes  map[memKey][]cdp.Seq       // newest first
	floors  map[memKey][]byte
	zeros   map[memKey]bool
	points  map[cdp.FrameNo]cdp.Point
	sums    map[memKey]uint32
	layouts history.Layouts
}

// NewMemStore is an empty store.
func NewMemStore() *MemStore {
	return &MemStore{d: memData{frames: map[cdp.FrameNo][]byte{}, blocks: map[memKey][]history.Entry{},
		wholes: map[memKey][]cdp.Seq{}, floors: map[memKey][]byte{}, zeros: map[memKey]bool{}, points: map[cdp.FrameNo]cdp.Point{}, sums: map[memKey]uint32{}}}
}

var _ vault.Store = (*MemStore)(nil)

func (m *MemStore) Load() (vault.Loaded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := vault.Loaded{State: m.d.state, Indexed: m.d.indexed, Layouts: m.d.layouts}
	for no, raw := range m.d.frames {
		if l.Newest == nil || no > l.Newest.No {
			h, err := frame.ParseHeader(raw)
			if err != nil {
				return l, err
			}
			l.Newest = &h
		}
		if l.Oldest == 0 || no < l.Oldest {
			l.Oldest = no
		}
	}
	return l, nil
}

type memPending struct {
	m      *MemStore
	frames map[cdp.FrameNo][]byte
}

func (m *MemStore) Prepare(frames []frame.Frame) (vault.Pending, error) {
	p := &memPending{m, map[cdp.FrameNo][]byte{}}
	for _, f := range frames {
		p.frames[f.No] = slices.Clone(f.Bytes())
	}
	return p, nil
}

func (p *memPending) Begin() error { return nil }

func (p *memPending) Commit() error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	maps.Copy(p.m.d.frames, p.frames)
	return nil
}

func (p *memPending) Abort() {}

func (m *MemStore) Tables(from, to cdp.FrameNo, fn func(frame.Table) error) error {
	return m.Frames(from, to, func(t frame.Table, _ []byte) error { return fn(t) })
}

func (m *MemStore) Frames(from, to cdp.FrameNo, fn func(frame.Table, []byte) error) error {
	m.mu.Lock()
	var nos []cdp.FrameNo
	for no := range m.d.frames {
		if from <= no && no <= to {
			nos = append(nos, no)
		}
	}
	frames := maps.Clone(m.d.frames)
	m.mu.Unlock()
	slices.Sort(nos)
	for _, no := range nos {
		f, err := frame.Parse(frames[no])
		if err != nil {
			return err
		}
		if err := fn(f.Table(), f.Payload()); err != nil {
			return err
		}
	}
	return nil
}

func (m *MemStore) Payload(no cdp.FrameNo, off uint32, p []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	raw, ok := m.d.frames[no]
	if !ok {
		return cdp.Errorf(cdp.Corrupt, "read payload", "", "frame %d is not stored", no)
	}
	copy(p, raw[frame.HeaderSize+int(off):])
	return nil
}

// EndBefore ends history at once.
func (m *MemStore) EndBefore(no cdp.FrameNo, _ error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.d.frames, func(n cdp.FrameNo, _ []byte) bool { return n >= no })
	maps.DeleteFunc(m.d.points, func(n cdp.FrameNo, _ cdp.Point) bool { return n >= no })
	for k, es := range m.d.blocks {
		m.d.blocks[k] = slices.DeleteFunc(slices.Clone(es), func(e history.Entry) bool { return e.Place.Frame >= no })
	}
	m.d.indexed = min(m.d.indexed, no-1)
	if raw, ok := m.d.frames[no-1]; ok {
		h, err := frame.ParseHeader(raw)
		if err != nil {
			return err
		}
		if st := &m.d.state; max(st.Base, st.Moving) > h.Last() {
			st.Base, st.Moving = max(st.Base, st.Moving), h.Last()
		}
	}
	return nil
}

func (m *MemStore) AddFloors(floors []vault.Floor, zeros []vault.ZeroFloor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range floors {
		var c []byte // nil: damaged
		if !f.Damaged {
			c = make([]byte, cdp.BlockSize)
			copy(c, f.Content)
		}
		m.d.floors[memKey{f.Disk, uint64(f.Block)}] = c
	}
	for _, z := range zeros {
		m.d.zeros[memKey{z.Disk, uint64(z.Region)}] = true
	}
	return nil
}

func (m *MemStore) AddIndex(upTo cdp.FrameNo, entries []vault.IndexEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if e.Whole {
			k := memKey{e.Disk, uint64(e.Region)}
			s := append(slices.Clone(m.d.wholes[k]), e.Seq)
			slices.SortFunc(s, func(a, b cdp.Seq) int { return int(b) - int(a) })
			m.d.wholes[k] = s
			continue
		}
		k := memKey{e.Disk, uint64(e.Block)}
		s := append(slices.Clone(m.d.blocks[k]), e.Entry)
		sort.Slice(s, func(i, j int) bool { return s[i].Seq > s[j].Seq })
		m.d.blocks[k] = s
	}
	m.d.indexed = upTo
	return nil
}

// memReader is a copy, which cannot change.
type memReader struct{ d memData }

func (m *MemStore) Reader() (vault.Reader, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.d
	d.blocks, d.wholes = maps.Clone(d.blocks), maps.Clone(d.wholes)
	d.floors, d.zeros, d.sums = maps.Clone(d.floors), maps.Clone(d.zeros), maps.Clone(d.sums)
	return &memReader{d}, nil
}

func (r *memReader) Entries(disk cdp.DiskID, b cdp.Block, upTo cdp.Seq, fn func(history.Entry) bool) error {
	for _, e := range r.d.blocks[memKey{disk, uint64(b)}] {
		if e.Seq <= upTo && !fn(e) {
			break
		}
	}
	return nil
}

func (r *memReader) Wholes(disk cdp.DiskID, x cdp.Region, upTo cdp.Seq, fn func(cdp.Seq) bool) error {
	for _, s := range r.d.wholes[memKey{disk, uint64(x)}] {
		if s <= upTo && !fn(s) {
			break
		}
	}
	return nil
}

func (r *memReader) Between(after, upTo cdp.Seq, fn func(vault.IndexEntry)) error {
	for k, es := range r.d.blocks {
		for _, e := range es {
			if e.Seq > after && e.Seq <= upTo {
				fn(vault.IndexEntry{Disk: k.disk, Block: cdp.Block(k.n), Entry: e})
			}
		}
	}
	for k, seqs := range r.d.wholes {
		for _, s := range seqs {
			if s > after && s <= upTo {
				fn(vault.IndexEntry{Disk: k.disk, Whole: true, Region: cdp.Region(k.n), Entry: history.Entry{Seq: s}})
			}
		}
	}
	return nil
}

func (r *memReader) Floor(disk cdp.DiskID, b cdp.Block, p []byte) error {
	c := r.d.floors[memKey{disk, uint64(b)}]
	if c == nil {
		return cdp.Errorf(cdp.Corrupt, "read floor", "", "it is damaged")
	}
	copy(p, c)
	return nil
}

func (r *memReader) Touched(disk cdp.DiskID, from cdp.Region) (at cdp.Region, blocks, ok bool, err error) {
	found := func(k memKey, x cdp.Region, block bool) {
		switch {
		case k.disk != disk || x < from || ok && x > at:
		case !ok || x < at:
			at, blocks, ok = x, block, true
		default:
			blocks = blocks || block
		}
	}
	for k, entries := range r.d.blocks {
		if len(entries) > 0 {
			found(k, cdp.Block(k.n).Region(), true)
		}
	}
	for k, seqs := range r.d.wholes {
		if len(seqs) > 0 {
			found(k, cdp.Region(k.n), false)
		}
	}
	for k := range r.d.floors {
		found(k, cdp.Block(k.n).Region(), false)
	}
	return at, blocks, ok, nil
}

func (r *memReader) Sums(disk cdp.DiskID, from cdp.Region, x *vault.RegionSums) (at cdp.Region, ok bool, err error) {
	for k := range r.d.sums {
		if y := cdp.Block(k.n).Region(); k.disk == disk && y >= from && (!ok || y < at) {
			at, ok = y, true
		}
	}
	for i := range x.Has {
		x.Sum[i], x.Has[i] = r.d.sums[memKey{disk, uint64(at)*cdp.BlocksPerRegion + uint64(i)}]
	}
	return at, ok, nil
}

func (r *memReader) Floors(disk cdp.DiskID, b cdp.Block, has []bool) error {
	for i := range has {
		_, has[i] = r.d.floors[memKey{disk, uint64(b) + uint64(i)}]
	}
	return nil
}

func (r *memReader) ZeroFloor(disk cdp.DiskID, x cdp.Region) (bool, error) {
	return r.d.zeros[memKey{disk, uint64(x)}], nil
}

func (r *memReader) Any() (bool, bool) {
	return len(r.d.wholes) > 0, len(r.d.floors)+len(r.d.zeros) > 0
}
func (r *memReader) Close() error { return nil }

func (m *MemStore) Points(fn func(cdp.Point) error) error {
	m.mu.Lock()
	ps := slices.SortedFunc(maps.Values(m.d.points), func(a, b cdp.Point) int { return int(a.Frame) - int(b.Frame) })
	m.mu.Unlock()
	for _, p := range ps {
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

func (m *MemStore) Usage(_, behind cdp.FrameNo) (vault.Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var u vault.Usage
	for no, f := range m.d.frames {
		u.Kept += int64(len(f))
		if no >= behind {
			u.Behind += int64(len(f))
		}
	}
	u.OnDisk = u.Kept
	return u, nil
}

func (m *MemStore) Reclaim(context.Context, cdp.FrameNo) error { return nil }

type memUpdate struct {
	m   *MemStore
	ops []func(*memData)
}

func (m *MemStore) Begin() vault.Update { return &memUpdate{m: m} }

func (u *memUpdate) do(op func(*memData)) { u.ops = append(u.ops, op) }

func (u *memUpdate) SetState(s vault.State) { u.do(func(d *memData) { d.state = s }) }
func (u *memUpdate) PutLayouts(l history.Layouts) {
	u.do(func(d *memData) { d.layouts = slices.Clone(l) })
}
func (u *memUpdate) PutFloor(disk cdp.DiskID, b cdp.Block, p []byte) {
	p = slices.Clone(p)
	u.do(func(d *memData) { d.floors[memKey{disk, uint64(b)}] = p })
}
func (u *memUpdate) PutSum(disk cdp.DiskID, b cdp.Block, sum uint32) {
	u.do(func(d *memData) { d.sums[memKey{disk, uint64(b)}] = sum })
}
func (u *memUpdate) DropSum(disk cdp.DiskID, b cdp.Block) {
	u.do(func(d *memData) { delete(d.sums, memKey{disk, uint64(b)}) })
}
func (u *memUpdate) DropFloor(disk cdp.DiskID, b cdp.Block) {
	u.do(func(d *memData) { delete(d.floors, memKey{disk, uint64(b)}) })
}
func (u *memUpdate) DropZeroFloor(disk cdp.DiskID, r cdp.Region) {
	u.do(func(d *memData) { delete(d.zeros, memKey{disk, uint64(r)}) })
}
func (u *memUpdate) DropEntry(disk cdp.DiskID, b cdp.Block, s cdp.Seq) {
	u.do(func(d *memData) {
		k := memKey{disk, uint64(b)}
		d.blocks[k] = slices.DeleteFunc(slices.Clone(d.blocks[k]), func(e history.Entry) bool { return e.Seq == s })
	})
}
func (u *memUpdate) DropWhole(disk cdp.DiskID, r cdp.Region, s cdp.Seq) {
	u.do(func(d *memData) {
		k := memKey{disk, uint64(r)}
		d.wholes[k] = slices.DeleteFunc(slices.Clone(d.wholes[k]), func(x cdp.Seq) bool { return x == s })
	})
}
func (u *memUpdate) DropFrames(no cdp.FrameNo) {
	u.do(func(d *memData) { maps.DeleteFunc(d.frames, func(n cdp.FrameNo, _ []byte) bool { return n < no }) })
}
func (u *memUpdate) SkipTo(f frame.Frame) {
	raw := slices.Clone(f.Bytes())
	u.do(func(d *memData) {
		maps.DeleteFunc(d.frames, func(n cdp.FrameNo, _ []byte) bool { return n < f.No })
		d.frames[f.No], d.indexed = raw, f.No
	})
}
func (u *memUpdate) PutPoint(p cdp.Point)     { u.do(func(d *memData) { d.points[p.Frame] = p }) }
func (u *memUpdate) DropPoint(no cdp.FrameNo) { u.do(func(d *memData) { delete(d.points, no) }) }
func (u *memUpdate) Discard()                 {}
func (u *memUpdate) Commit() error {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	for _, op := range u.ops {
		op(&u.m.d)
	}
	return nil
}
