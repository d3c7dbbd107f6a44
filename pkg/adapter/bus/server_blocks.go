package bus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/highwayhash"

	"tidemark.dev/pkg/cdp"
)

// The server cuts a block of messages where it finds a damaged one: one flipped bit
// in a bucket takes every value that was stored after it. So the blocks are looked
// at before it starts. A single bit is put right. A message with more damage loses
// its content, which its reader then sets aside by name; those around it stay. The
// streams of frames are left to the server: they are large, and their frames prove
// themselves.
//
// A block is a row of messages, little endian: u32 length, the highest bit of which
// says that there are headers; u64 sequence; u64 time; u16 length of the subject;
// subject; u32 length of the headers and the headers, if there are any; content;
// HighwayHash-64 of all but the lengths, keyed with the SHA-256 of the stream's name,
// a dash and the block's number.
const (
	msgHead    = 22
	msgSum     = 8
	msgHeaders = 1 << 31
	// bitsMost is the longest message in which a flipped bit is looked for: the time
	// grows with the square.
	bitsMost = 16 << 10
)

// mendBlocks mends what is damaged in the blocks of a stopped server, and says what.
func mendBlocks(store string) (said []string, err error) {
	paths, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		stream := filepath.Base(filepath.Dir(filepath.Dir(path)))
		if strings.HasPrefix(stream, "WRITE_") {
			continue
		}
		more, err := mendBlock(path, stream+"-"+strings.TrimSuffix(filepath.Base(path), ".blk"))
		if err != nil {
			return nil, &cdp.Error{Op: "look for damage", Kind: cdp.KindOf(err), Subject: path, Cause: err}
		}
		said = append(said, more...)
	}
	return said, nil
}

func mendBlock(path, key string) (said []string, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(key))
	h, err := highwayhash.NewDigest64(sum[:])
	if err != nil {
		return nil, err
	}
	b := block{h}
	for rest := raw; len(rest) > 0; {
		n := msgLen(rest)
		if n == 0 || !b.whole(rest[:n]) {
			how := b.mend(rest)
			if how == "" {
				break // the server cuts it here, as it does what a crash left
			}
			n = msgLen(rest)
			if how == unknown {
				rest = rest[n:]
				continue
			}
			said = append(said, fmt.Sprintf("%s: message %d %s", path, binary.LittleEndian.Uint64(rest[4:]), how))
		}
		rest = rest[n:]
	}
	if len(said) == 0 {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return said, err
}

// msgLen is the length of the message that p begins with; 0 if it cannot be one.
func msgLen(p []byte) int {
	if len(p) < msgHead+msgSum {
		return 0
	}
	n, subject := int(binary.LittleEndian.Uint32(p)&^msgHeaders), int(binary.LittleEndian.Uint16(p[20:]))
	least := msgHead + subject + msgSum
	if binary.LittleEndian.Uint32(p)&msgHeaders != 0 {
		least += 4
	}
	if n < least || n > len(p) {
		return 0
	}
	return n
}

// block knows the checksums of a block's messages.
type block struct{ h hash.Hash64 }

// body are the parts of a message that its checksum covers, besides its head.
func body(m []byte) (subject, rest []byte) {
	data := m[msgHead : len(m)-msgSum]
	n := int(binary.LittleEndian.Uint16(m[20:]))
	if rest = data[n:]; binary.LittleEndian.Uint32(m)&msgHeaders != 0 {
		rest = rest[4:]
	}
	return data[:n], rest
}

func (b block) sum(m []byte) []byte {
	subject, rest := body(m)
	b.h.Reset()
	for _, p := range [][]byte{m[4:20], subject, rest} {
		_, _ = b.h.Write(p) // never fails
	}
	return b.h.Sum(nil)
}

// whole reports whether a message is as it was written. Lengths have no checksum, so
// content tells: all that is stored here is JSON.
func (b block) whole(m []byte) bool {
	if !bytes.Equal(b.sum(m), m[len(m)-msgSum:]) {
		return false
	}
	n, right := headers(m)
	_, rest := body(m)
	return n == right && (n > 0 || len(rest) == 0 || json.Valid(rest))
}

// headers is how long the headers of a message are said to be, and how long they are.
func headers(m []byte) (said, are int) {
	if binary.LittleEndian.Uint32(m)&msgHeaders == 0 {
		return 0, 0
	}
	_, rest := body(m)
	at := msgHead + int(binary.LittleEndian.Uint16(m[20:]))
	said = int(binary.LittleEndian.Uint32(m[at:]))
	const end = "\r\n\r\n"
	if i := bytes.Index(rest, []byte(end)); i >= 0 && bytes.HasPrefix(rest, []byte("NATS/1.0")) {
		return said, i + len(end)
	}
	return said, said // erased
}

// unknown is how a message is mended that may be as it was written.
const unknown = "is not JSON"

// mend puts the message right that p begins with, and says how; "" if it cannot.
func (b block) mend(p []byte) (how string) {
	if len(p) < msgHead+msgSum {
		return ""
	}
	const restored = "had a flipped bit, which is put right"
	for _, at := range []int{0, 1, 2, 3, 20, 21} { // the lengths
		if b.flipBack(p, at, func() int { return msgLen(p) }) {
			return restored
		}
	}
	n := msgLen(p)
	if n == 0 {
		return ""
	}
	if said, are := headers(p[:n]); said != are {
		at := msgHead + int(binary.LittleEndian.Uint16(p[20:]))
		binary.LittleEndian.PutUint32(p[at:], uint32(are))
		if b.whole(p[:n]) {
			return restored
		}
		binary.LittleEndian.PutUint32(p[at:], uint32(said))
	}
	if bytes.Equal(b.sum(p[:n]), p[n-msgSum:n]) {
		return unknown // somebody stored something else
	}
	for at := 4; at < n && n <= bitsMost; at++ {
		if at != 20 && at != 21 && b.flipBack(p, at, func() int { return n }) {
			return restored
		}
	}
	if next := p[n:]; len(next) > 0 && (msgLen(next) == 0 || !b.whole(next[:msgLen(next)])) {
		return "" // its length may be wrong
	}
	_, rest := body(p[:n])
	if _, are := headers(p[:n]); are <= len(rest) {
		rest = rest[are:]
	}
	for i := range rest {
		rest[i] = '?'
	}
	copy(p[n-msgSum:n], b.sum(p[:n]))
	return "is damaged; its content is lost"
}

// flipBack tries each bit of a byte.
func (b block) flipBack(p []byte, at int, length func() int) bool {
	for bit := range 8 {
		p[at] ^= 1 << bit
		if n := length(); n > 0 && b.whole(p[:n]) {
			return true
		}
		p[at] ^= 1 << bit
	}
	return false
}
