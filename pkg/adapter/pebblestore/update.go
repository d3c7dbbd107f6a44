package pebblestore

import (
	"encoding/json"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// update collects changes in one batch.
type update struct {
	g   *Group
	db  *database
	b   *pebble.Batch
	k   []byte
	err error

	dropped cdp.FrameNo // below which this drops frames
	newest  cdp.FrameNo // that this makes the newest; 0: none
	points  []notedPoint
	info    *groupInfo // that this puts
}

var _ vault.Update = (*update)(nil)

// Begin starts a set of changes.
func (g *Group) Begin() vault.Update {
	db := g.s.use()
	return &update{g: g, db: db, b: db.NewBatch()}
}

func (u *update) note(err error) {
	if u.err == nil {
		u.err = err
	}
}

func (u *update) json(k []byte, v any) {
	raw, err := json.Marshal(v)
	u.note(err)
	u.set(k, raw)
}

// set puts a row that is stored twice.
func (u *update) set(k, v []byte) {
	u.note(u.b.Set(k, v, nil))
	u.note(u.b.Set(twinKey(k), v, nil))
}

func (u *update) SetState(s vault.State) { u.json(u.g.key(u.k, kindState), s) }

func (u *update) PutLayouts(l history.Layouts) {
	u.info = &groupInfo{ID: u.g.s.id, Num: u.g.num, Disks: l.Newest(), Layouts: l}
	u.json(infoKey(u.info.ID), u.info)
}

func (u *update) PutFloor(disk cdp.DiskID, b cdp.Block, p []byte) {
	u.k = u.g.placeKey(u.k, kindContent, disk, uint64(b))
	switch {
	case p == nil:
		u.note(u.b.Set(u.k, damagedFloor, nil))
	case vault.AllZero(p):
		u.note(u.b.Delete(u.k, nil))
	default:
		u.note(u.b.Set(u.k, p, nil))
	}
	u.k = u.g.placeKey(u.k, kindFloor, disk, uint64(b))
	u.note(u.b.Set(u.k, nil, nil))
}

func (u *update) del(k []byte) {
	u.k = k
	u.note(u.b.Delete(k, nil))
	if twinned(k[4]) {
		u.note(u.b.Delete(twinKey(k), nil))
	}
}

func (u *update) PutSum(disk cdp.DiskID, b cdp.Block, sum uint32) {
	u.k = u.g.placeKey(u.k, kindSum, disk, uint64(b))
	op := u.b.SetDeferred(len(u.k), 4)
	copy(op.Key, u.k)
	be.PutUint32(op.Value, sum)
	u.note(op.Finish())
}

func (u *update) DropSum(disk cdp.DiskID, b cdp.Block) {
	u.del(u.g.placeKey(u.k, kindSum, disk, uint64(b)))
}

func (u *update) DropFloor(disk cdp.DiskID, b cdp.Block) {
	u.del(u.g.placeKey(u.k, kindFloor, disk, uint64(b)))
	u.del(u.g.placeKey(u.k, kindContent, disk, uint64(b)))
}

func (u *update) DropZeroFloor(disk cdp.DiskID, r cdp.Region) {
	u.del(u.g.placeKey(u.k, kindZero, disk, uint64(r)))
}

func (u *update) DropEntry(disk cdp.DiskID, b cdp.Block, s cdp.Seq) {
	u.del(u.g.seqKey(u.k, kindIndex, disk, uint64(b), s))
}

func (u *update) DropWhole(disk cdp.DiskID, r cdp.Region, s cdp.Seq) {
	u.del(u.g.seqKey(u.k, kindWhole, disk, uint64(r), s))
}

func (u *update) DropFrames(no cdp.FrameNo) {
	u.drop(no, no)
}

// drop removes the frames below end, those from no on to be stored anew.
func (u *update) drop(no, end cdp.FrameNo) {
	if from := max(u.dropped, u.g.droppedBelow()); from < end {
		u.note(u.b.DeleteRange(u.g.frameKey(nil, from, 0), u.g.frameKey(nil, end, 0), nil))
	}
	u.dropped = max(u.dropped, no)
}

func (u *update) SkipTo(f frame.Frame) {
	u.drop(f.No, f.No+1) // with the payload it may have
	u.k = u.g.frameKey(u.k, f.No, 0)
	u.note(u.b.Set(u.k, slices.Concat(f.HeaderBytes(), f.TableBytes()), nil))
	u.set(u.g.key(nil, kindIndexed), be.AppendUint64(nil, uint64(f.No)))
	u.newest = f.No
}

func (u *update) PutPoint(p cdp.Point) {
	u.json(be.AppendUint64(u.g.key(u.k, kindPoint), uint64(p.Frame)), p)
	u.points = append(u.points, notedPoint{Point: p})
}

func (u *update) DropPoint(no cdp.FrameNo) {
	u.del(be.AppendUint64(u.g.key(u.k, kindPoint), uint64(no)))
	u.points = append(u.points, notedPoint{cdp.Point{Frame: no}, true})
}

func (u *update) Commit() error {
	defer u.Discard()
	if u.err != nil {
		return failed("change journal", u.err)
	}
	if err := u.db.ready(u.b.Len()); err != nil {
		return failed("change journal", err)
	}
	u.g.s.durable.points(u.points)
	if err := u.db.commit(u.b, pebble.Sync); err != nil {
		return failed("change journal", err)
	}
	u.g.s.durable.frames(u.newest, true)
	u.g.setDropped(u.dropped)
	if u.info != nil {
		u.g.s.setInfo(*u.info)
	}
	return nil
}

func (u *update) Discard() {
	u.b.Close()
	u.db.done()
}
