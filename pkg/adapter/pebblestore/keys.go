package pebblestore

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
)

var (
	be = binary.BigEndian
	le = binary.LittleEndian
)

const (
	kindFrame   = 'f'
	kindRuns    = 'h'
	kindIndex   = 'i'
	kindWhole   = 'j'
	kindIndexed = 'k'
	kindLoss    = 'l'
	kindPoint   = 'n'
	kindFloor   = 'o'
	kindContent = 'q'
	kindZero    = 'r'
	kindState   = 's'
	kindSum     = 't'
	kindTwin    = 'w'
	kindGroup   = 'g'

	pieceSize = 16 << 10
)

func (g *Group) key(dst []byte, kind byte) []byte {
	return append(be.AppendUint32(dst[:0], g.num), kind)
}

func (g *Group) frameKey(dst []byte, no cdp.FrameNo, part uint16) []byte {
	return be.AppendUint16(be.AppendUint64(g.key(dst, kindFrame), uint64(no)), part)
}

// apart has Pebble put frames, the index, floors, checksums, and the rows that are stored
// twice with their copies, into tables of their own each, so that damage to one never
// costs the others.
func apart(k []byte) (p pebble.SpanPolicy, end []byte, err error) {
	if len(k) < 5 {
		return p, nil, nil
	}
	for _, kind := range []byte{kindFrame, kindFrame + 1, kindIndexed, kindFloor, kindState, kindSum, kindTwin} {
		if k[4] < kind {
			return p, append(bytes.Clone(k[:4]), kind), nil
		}
	}
	return p, be.AppendUint32(nil, be.Uint32(k)+1), nil
}

func frameOfKey(k []byte) (cdp.FrameNo, uint16) {
	return cdp.FrameNo(be.Uint64(k[5:])), be.Uint16(k[13:])
}

// placeKey is the key of a block or a region, without a seq.
func (g *Group) placeKey(dst []byte, kind byte, disk cdp.DiskID, n uint64) []byte {
	dst = be.AppendUint16(g.key(dst, kind), uint16(disk))
	return append(dst, byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func diskOfKey(k []byte) cdp.DiskID { return cdp.DiskID(be.Uint16(k[5:])) }

const placeKeyLen = 5 + 2 + 6

func placeOfKey(k []byte) uint64 {
	return uint64(be.Uint16(k[7:]))<<32 | uint64(be.Uint32(k[9:]))
}

func (g *Group) seqKey(dst []byte, kind byte, disk cdp.DiskID, n uint64, s cdp.Seq) []byte {
	return be.AppendUint64(g.placeKey(dst, kind, disk, n), ^uint64(s))
}

func seqOfKey(k []byte) cdp.Seq { return cdp.Seq(^be.Uint64(k[placeKeyLen:])) }
