package nbd

import (
	"encoding/binary"

	"tidemark.dev/pkg/core/block"
)

// maxExtents bounds one block status reply; a client asks again for the rest.
const maxExtents = 1024

// blockStatus answers with the allocation of the range.
func (c *conn) blockStatus(r request) error {
	limit := maxExtents
	if r.flags&cmdFlagReqOne != 0 {
		limit = 1
	}
	var found []block.Extent
	if c.exp.status != nil {
		found = c.exp.status.Status(int64(r.off), int64(r.n))
	}
	ext := normalize(found, int64(r.off), int64(r.n), int64(c.exp.MinBlock), limit)

	c.out.Lock()
	defer c.out.Unlock()
	n := 4 + 8*len(ext)
	b := c.out.chunk(chunkBlockStatus, r.cookie, n, n)
	binary.BigEndian.PutUint32(b, contextID)
	for i, e := range ext {
		var state uint32
		if e.Hole {
			state |= stateHole
		}
		if e.Zero {
			state |= stateZero
		}
		binary.BigEndian.PutUint32(b[4+8*i:], uint32(e.Length))
		binary.BigEndian.PutUint32(b[8+8*i:], state)
	}
	return c.out.err
}

// normalize makes extents fit for the wire: inside the range, whole blocks,
// neighbours in different states, at least one and at most limit. A block in which
// an extent ends counts as data, which is always safe.
func normalize(in []block.Extent, off, n, unit int64, limit int) []block.Extent {
	out := make([]block.Extent, 0, min(len(in)+1, limit))
	var at, covered int64 // bytes in out, bytes of in so far
	for _, e := range in {
		if at >= n {
			break
		}
		covered += max(e.Length, 0)
		end := min(covered, n)
		if e.Hole || e.Zero {
			end -= end % unit
		} else {
			end = min((end+unit-1)/unit*unit, n)
		}
		// A hole that starts inside a block that counts as data begins after it.
		if end > at {
			if !add(&out, block.Extent{Length: end - at, Hole: e.Hole, Zero: e.Zero}, limit) {
				return out
			}
			at = end
		}
		if covered > at && at < n { // the cut-off end of a hole
			if !add(&out, block.Extent{Length: min(unit, n-at)}, limit) {
				return out
			}
			at += min(unit, n-at)
		}
	}
	if len(out) == 0 {
		out = append(out, block.Extent{Length: n})
	}
	return out
}

// add appends e, or lengthens the last extent; false if there is no room.
func add(out *[]block.Extent, e block.Extent, limit int) bool {
	if k := len(*out); k > 0 && (*out)[k-1].Hole == e.Hole && (*out)[k-1].Zero == e.Zero {
		(*out)[k-1].Length += e.Length
		return true
	}
	if len(*out) == limit {
		return false
	}
	*out = append(*out, e)
	return true
}
