package pebblestore

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// Prepare begins to store frames.
func (g *Group) Prepare(frames []frame.Frame) (vault.Pending, error) {
	size := 0
	for _, f := range frames {
		size += len(f.Bytes())
	}
	if size >= g.s.d.cfg.BulkBytes {
		return g.prepareTable(frames)
	}
	return g.prepareBatch(frames, size)
}

// rows calls fn for the rows of a frame in the order of their keys. The key is
// valid during the call; the value comes in two pieces.
func (g *Group) rows(f frame.Frame, fn func(k, v1, v2 []byte) error) error {
	var kb [32]byte
	if err := fn(g.frameKey(kb[:0], f.No, 0), f.HeaderBytes(), f.TableBytes()); err != nil {
		return err
	}
	p := f.Payload()
	for part := uint16(1); len(p) > 0; part++ {
		n := min(len(p), pieceSize)
		if err := fn(g.frameKey(kb[:0], f.No, part), p[:n], nil); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// pendingBatch goes through the log. Begin hands it to the log, Commit waits for
// the disk: so the log's syncs overlap with what comes next. A table that was
// begun before it must be in the database first, or a crash could leave a gap.
type pendingBatch struct {
	g    *Group
	db   *database
	b    *pebble.Batch
	last cdp.FrameNo
}

func (g *Group) prepareBatch(frames []frame.Frame, size int) (vault.Pending, error) {
	db := g.s.use()
	b := db.NewBatchWithSize(size + size/64 + 1024)
	for _, f := range frames {
		if err := g.rows(f, func(k, v1, v2 []byte) error {
			op := b.SetDeferred(len(k), len(v1)+len(v2))
			copy(op.Key, k)
			copy(op.Value[copy(op.Value, v1):], v2)
			return op.Finish()
		}); err != nil {
			b.Close()
			db.done()
			return nil, failed("store frames", err)
		}
	}
	return pendingBatch{g, db, b, frames[len(frames)-1].No}, nil
}

func (p pendingBatch) Begin() error {
	p.g.tables.Wait()
	if err := p.g.failure(); err != nil {
		p.Abort()
		return failed("store frames", err)
	}
	err := p.db.ready(p.b.Len())
	if err == nil {
		err = p.db.ApplyNoSyncWait(p.b, pebble.Sync)
	}
	if err != nil {
		p.Abort()
	}
	return failed("store frames", err)
}

func (p pendingBatch) Commit() error {
	defer p.db.done()
	err := p.b.SyncWait()
	if e := p.b.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = p.db.failure()
	}
	if err == nil {
		p.g.s.durable.frames(p.last, true)
	}
	return failed("store frames", err)
}

func (p pendingBatch) Abort() {
	p.b.Close()
	p.db.done()
}

// pendingTable is a table that is written by Prepare and linked in by Commit.
type pendingTable struct {
	db   *database
	g    *Group // whose batches wait for it; nil for none
	last cdp.FrameNo
	w    *sstable.Writer
	path string
}

// newTable begins a sorted table that will be linked into the database.
func (s *store) newTable() (*pendingTable, error) {
	db, d := s.use(), s.d
	if err := db.readyForTable(ofTable); err != nil {
		db.done()
		return nil, err
	}
	path := d.cfg.FS.PathJoin(s.path(), fmt.Sprintf("%s%06d.sst", bulkPrefix, s.bulkNo.Add(1)))
	var f vfs.File
	var err error
	if d.direct {
		f, err = createDirect(path, d.chunks)
	} else {
		f, err = d.cfg.FS.Create(path, vfs.WriteCategoryUnspecified)
	}
	if err != nil {
		db.done()
		return nil, err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), db.opts.MakeWriterOptions(6, db.TableFormat()))
	return &pendingTable{db: db, w: w, path: path}, nil
}

func (g *Group) prepareTable(frames []frame.Frame) (vault.Pending, error) {
	p, err := g.s.newTable()
	if err != nil {
		return nil, failed("store frames", err)
	}
	var v []byte
	for _, f := range frames {
		if err := g.rows(f, func(k, v1, v2 []byte) error {
			if v2 != nil {
				v = append(append(v[:0], v1...), v2...)
				v1 = v
			}
			return p.w.Set(k, v1)
		}); err != nil {
			p.Abort()
			return nil, failed("store frames", err)
		}
	}
	p.g, p.last = g, frames[len(frames)-1].No
	return p, nil
}

func (p *pendingTable) Begin() error {
	p.g.tables.Add(1)
	return nil
}

func (p *pendingTable) Commit() error {
	if p.g == nil {
		return p.link()
	}
	defer p.g.tables.Done()
	err := p.g.failure()
	if err != nil {
		p.Abort()
	} else {
		err = p.link()
	}
	if err != nil {
		p.g.setFailure(err)
		return err
	}
	p.g.s.durable.frames(p.last, false)
	return nil
}

func (p *pendingTable) link() error {
	defer p.db.done()
	err := p.w.Close()
	if err != nil {
		p.db.on.FS.Remove(p.path)
	} else {
		err = p.db.Ingest(context.Background(), []string{p.path})
	}
	if err == nil {
		err = p.db.failure()
	}
	return failed("store table", err)
}

func (p *pendingTable) Abort() {
	p.w.Close()
	p.db.on.FS.Remove(p.path)
	p.db.done()
}

// AddIndex adds sorted entries, and then moves the mark of what is indexed. A crash in
// between leaves entries that are added once more, as they are.
func (g *Group) AddIndex(upTo cdp.FrameNo, entries []vault.IndexEntry) error {
	const op = "store index"
	if len(entries) > 0 {
		if err := g.addEntries(upTo, entries); err != nil {
			return failed(op, err)
		}
	}
	u := g.Begin().(*update)
	u.set(g.key(nil, kindIndexed), be.AppendUint64(nil, uint64(upTo)))
	return cdp.Wrap(u.Commit(), op, "")
}

// addEntries adds sorted entries, with a row that says how far they go: they may be found
// after a crash without the frames that they are of.
func (g *Group) addEntries(upTo cdp.FrameNo, entries []vault.IndexEntry) error {
	p, err := g.s.newTable()
	if err != nil {
		return err
	}
	if err := p.w.Set(g.key(nil, kindRuns), be.AppendUint64(nil, uint64(upTo))); err != nil {
		p.Abort()
		return err
	}
	var k []byte
	var v [14]byte
	for _, e := range entries {
		if e.Whole {
			k = g.seqKey(k, kindWhole, e.Disk, uint64(e.Region), e.Seq)
			err = p.w.Set(k, nil)
		} else {
			k = g.seqKey(k, kindIndex, e.Disk, uint64(e.Block), e.Seq)
			be.PutUint64(v[0:], uint64(e.Place.Frame))
			be.PutUint32(v[8:], e.Place.Off)
			v[12], v[13] = byte(e.Mask), 0
			if e.Place.Zero {
				v[13] = 1
			}
			err = p.w.Set(k, v[:])
		}
		if err != nil {
			p.Abort()
			return err
		}
	}
	return p.Commit()
}

// AddFloors saves floors: many as a table, few through the log, whose next sync
// makes them durable.
func (g *Group) AddFloors(floors []vault.Floor, zeros []vault.ZeroFloor) error {
	const op = "store floors"
	if len(floors)*cdp.BlockSize < g.s.d.cfg.BulkBytes {
		db := g.s.use()
		defer db.done()
		b := db.NewBatch()
		defer b.Close()
		if err := g.eachFloor(floors, zeros, func(k, v []byte) error { return b.Set(k, v, nil) }); err != nil {
			return failed(op, err)
		}
		return failed(op, db.commit(b, pebble.NoSync))
	}
	p, err := g.s.newTable()
	if err != nil {
		return failed(op, err)
	}
	if err := g.eachFloor(floors, zeros, p.w.Set); err != nil {
		p.Abort()
		return failed(op, err)
	}
	return p.Commit()
}

// damagedFloor is what is stored as the content of a floor that is lost.
var damagedFloor = []byte{1}

// eachFloor calls fn for the rows of floors in the order of their keys.
func (g *Group) eachFloor(floors []vault.Floor, zeros []vault.ZeroFloor, fn func(k, v []byte) error) error {
	var k []byte
	for _, f := range floors {
		k = g.placeKey(k, kindFloor, f.Disk, uint64(f.Block))
		if err := fn(k, nil); err != nil {
			return err
		}
	}
	for _, f := range floors {
		content := f.Content
		if f.Damaged {
			content = damagedFloor
		}
		if content == nil {
			continue
		}
		k = g.placeKey(k, kindContent, f.Disk, uint64(f.Block))
		if err := fn(k, content); err != nil {
			return err
		}
	}
	for _, z := range zeros {
		k = g.placeKey(k, kindZero, z.Disk, uint64(z.Region))
		if err := fn(k, nil); err != nil {
			return err
		}
	}
	return nil
}
