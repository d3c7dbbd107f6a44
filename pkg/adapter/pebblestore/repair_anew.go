package pebblestore

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// remains are what the tables and logs of a store still say when the store cannot be
// opened. They may be of different moments, so no history is made of them.
type remains struct {
	g      Group
	info   groupInfo
	state  vault.State
	stated pebble.SeqNum // when state was written
	newest frame.Header
	points map[cdp.FrameNo]cdp.Point
}

// anew makes the copy a store without history: it says whose it is, and where frame
// numbers and writes go on, so that the source takes the replica as it is, compares the
// disks with it, and sends what differs. Why is what keeps the history from being read.
func (r *repair) anew(why error) error {
	x := &remains{points: map[cdp.FrameNo]cdp.Point{}}
	if err := x.read(r.path()); err != nil {
		return err
	}
	switch {
	case x.info.ID != r.id:
		return cdp.Errorf(cdp.Corrupt, opRepair, string(r.id), "not even the disks of the job can be read")
	case x.stated == 0:
		return cdp.Errorf(cdp.Corrupt, opRepair, string(r.id), "it cannot be read whether the job has been failed over, so its replica may be in use")
	case x.state.Halted || x.state.Sealed:
		return cdp.Errorf(cdp.Conflict, opRepair, string(r.id), "the job has been failed over by the run %s, and its replica may be in use", x.state.Run)
	}
	if err := r.clear(); err != nil {
		return err
	}
	d, err := Open(r.work(), Options{})
	if err != nil {
		return err
	}
	err = x.begin(d, r, why)
	if e := d.Close(); err == nil {
		err = e
	}
	r.mends, r.Points = true, 0
	return err
}

// begin makes the store. Its only frame is older than the newest that the source knows to
// be stored, so that the source finds out that something was lost.
func (x *remains) begin(d *DB, r *repair, why error) error {
	s, err := d.create(groupInfo{ID: r.id, Num: 1, Disks: x.info.Disks})
	if err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	g := &Group{s: s, num: 1}
	last := x.newest.Last()
	if x.newest.No == 0 {
		last = 0
	}
	f := emptyFrame(frame.Header{Epoch: x.newest.Epoch, No: max(2, x.newest.No) - 1, First: last + 1, Opened: x.newest.Opened, Sealed: x.newest.Sealed})
	lost := cdp.Loss{From: f.No + 1, To: max(f.No+1, x.newest.No), Found: time.Now().UTC(), Why: firstLine(why)}
	for _, p := range x.points {
		lost.Points = append(lost.Points, p)
	}
	slices.SortFunc(lost.Points, func(a, b cdp.Point) int { return int(a.Frame) - int(b.Frame) })
	u := g.Begin().(*update)
	u.SkipTo(f)
	u.SetState(vault.State{Horizon: last, Base: last, Moving: last, Straight: true, Cursor: f.No})
	u.json(g.lossKey(lost.From), lost)
	r.Losses = []cdp.Loss{lost}
	return u.Commit()
}

// read reads what the store's files still say, each for itself.
func (x *remains) read(dir string) error {
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	logs, err := wal.Scan(wal.Dir{FS: vfs.Default, Dirname: dir})
	if err != nil {
		return err
	}
	for range 2 { // first which group it is
		for _, name := range tables {
			x.readTable(name)
		}
		for _, l := range logs {
			x.readLog(l)
		}
		x.g.num = x.info.Num
	}
	_, _, noted := readDurable(vfs.Default, filepath.Join(dir, durableName))
	for no, p := range noted {
		if x.points[no] = p.Point; p.Gone {
			delete(x.points, no)
		}
	}
	return nil
}

// see takes a row over. What is damaged is passed over.
func (x *remains) see(k, v []byte, at pebble.SeqNum) {
	if len(k) < 5 || be.Uint32(k) != x.g.num {
		return
	}
	if k[4] == kindTwin && len(k) > 5 {
		k = slices.Concat(k[:4], k[5:])
	}
	switch k[4] {
	case kindGroup:
		_ = json.Unmarshal(v, &x.info)
	case kindState:
		var st vault.State
		if at >= x.stated && json.Unmarshal(v, &st) == nil {
			x.state, x.stated = st, at
		}
	case kindPoint:
		var p cdp.Point
		if json.Unmarshal(v, &p) == nil {
			x.points[p.Frame] = p
		}
	case kindFrame:
		if len(k) != 15 {
			return
		}
		if _, part := frameOfKey(k); part != 0 {
			return
		}
		if h, err := frame.ParseHeader(v); err == nil && h.No > x.newest.No {
			x.newest = h
		}
	}
}

// readTable reads the rows of a table that matter, as far as they can be read.
func (x *remains) readTable(path string) {
	t, err := openTable(vfs.Default, path)
	if err != nil {
		return
	}
	defer t.Close()
	for _, span := range x.spans() {
		it, err := t.NewIter(sstable.NoTransforms, span.Start, span.End, sstable.AssertNoBlobHandles)
		if err != nil {
			return
		}
		for kv := it.SeekGE(span.Start, 0); kv != nil; {
			k := bytes.Clone(kv.K.UserKey)
			if v, _, err := kv.Value(nil); err == nil && kv.Kind() == pebble.InternalKeyKindSet {
				x.see(k, v, kv.SeqNum())
			}
			if k[4] == kindFrame && len(k) == 15 {
				no, _ := frameOfKey(k)
				kv = it.SeekGE(x.g.frameKey(nil, no+1, 0), 0)
			} else {
				kv = it.Next()
			}
		}
		_ = it.Close()
	}
}

func (x *remains) spans() (out []pebble.KeyRange) {
	for _, kind := range []byte{kindFrame, kindGroup, kindPoint, kindState, kindTwin} {
		out = append(out, pebble.KeyRange{Start: x.g.key(nil, kind), End: x.g.key(nil, kind+1)})
	}
	return out
}

// readLog reads the rows of a log, as far as they can be read.
func (x *remains) readLog(l wal.LogicalLog) {
	records := l.OpenForRead()
	defer records.Close()
	for {
		r, _, err := records.NextRecord()
		if err != nil {
			return
		}
		repr, err := io.ReadAll(r)
		if err != nil || len(repr) < batchrepr.HeaderLen {
			return
		}
		at, rows := batchrepr.ReadSeqNum(repr), batchrepr.Read(repr)
		for {
			kind, k, v, ok, err := rows.Next()
			if err != nil || !ok {
				break
			}
			if kind == pebble.InternalKeyKindSet {
				x.see(k, v, at)
			}
			at++
		}
	}
}
