package nbd

import (
	"encoding/binary"
	"net"
	"sync"
)

// inlineRead is the longest read, in bytes, that the backend puts straight into
// the output buffer; longer ones are sent from scratch memory, in one writev.
const inlineRead = 16 << 10

// writer gathers replies, so that one system call sends them when the reader has
// no further request. The reader's goroutine and the committer share it: lock it
// around append and send.
type writer struct {
	sync.Mutex
	dst  net.Conn
	buf  []byte // gathered replies; its capacity never changes
	err  error  // first failure to send; nothing is sent after it
	vec  [2][]byte
	bufs net.Buffers // header of vec while it is being sent
}

// send sends the gathered replies.
func (o *writer) send() error {
	if o.err == nil && len(o.buf) > 0 {
		_, o.err = o.dst.Write(o.buf)
	}
	o.buf = o.buf[:0]
	return o.err
}

// gathered reports whether replies wait to be sent.
func (o *writer) gathered() bool {
	o.Lock()
	defer o.Unlock()
	return len(o.buf) > 0
}

// sendWith sends the gathered replies, then p.
func (o *writer) sendWith(p []byte) error {
	if o.err == nil {
		o.vec = [2][]byte{o.buf, p}
		o.bufs = o.vec[:]
		_, o.err = o.bufs.WriteTo(o.dst)
		o.vec = [2][]byte{}
	}
	o.buf = o.buf[:0]
	return o.err
}

// room extends the gathered replies by n bytes and returns them for filling.
func (o *writer) room(n int) []byte {
	if len(o.buf)+n > cap(o.buf) {
		o.send()
	}
	at := len(o.buf)
	o.buf = o.buf[:at+n]
	return o.buf[at:]
}

// simple gathers a simple reply: success of a command without data, or any
// error to a client that does not know structured replies.
func (o *writer) simple(cookie uint64, e errno) {
	b := o.room(simpleLen)
	binary.BigEndian.PutUint32(b, magicSimple)
	binary.BigEndian.PutUint32(b[4:], uint32(e))
	binary.BigEndian.PutUint64(b[8:], cookie)
}

// chunk gathers the header of the last chunk of a structured reply and returns
// the first inline bytes of its payload of n bytes for filling.
func (o *writer) chunk(typ uint16, cookie uint64, inline, n int) []byte {
	b := o.room(chunkLen + inline)
	putChunk(b, chunkDone, typ, cookie, n)
	return b[chunkLen:]
}

// fail gathers an error reply.
func (o *writer) fail(cookie uint64, e errno, structured bool) {
	if !structured {
		o.simple(cookie, e)
		return
	}
	b := o.chunk(chunkError, cookie, 6, 6)
	binary.BigEndian.PutUint32(b, uint32(e))
	binary.BigEndian.PutUint16(b[4:], 0) // no message beside the number
}

// readHead gathers the header of a successful read of n bytes and returns room
// for the first inline bytes of data.
func (o *writer) readHead(r request, inline int, structured bool) []byte {
	if !structured {
		// Room for both at once: the head must not be sent before takeBack.
		b := o.room(simpleLen + inline)
		binary.BigEndian.PutUint32(b, magicSimple)
		binary.BigEndian.PutUint32(b[4:], 0)
		binary.BigEndian.PutUint64(b[8:], r.cookie)
		return b[simpleLen:]
	}
	b := o.chunk(chunkOffsetData, r.cookie, 8+inline, 8+int(r.n))
	binary.BigEndian.PutUint64(b, r.off)
	return b[8:]
}

// dataHead gathers the header of a chunk of n bytes of a read, from off.
func (o *writer) dataHead(cookie uint64, off int64, n int, last bool) {
	b := o.room(chunkLen + 8)
	flags := uint16(0)
	if last {
		flags = chunkDone
	}
	putChunk(b, flags, chunkOffsetData, cookie, 8+n)
	binary.BigEndian.PutUint64(b[chunkLen:], uint64(off))
}

func putChunk(b []byte, flags, typ uint16, cookie uint64, n int) {
	binary.BigEndian.PutUint32(b, magicStructured)
	binary.BigEndian.PutUint16(b[4:], flags)
	binary.BigEndian.PutUint16(b[6:], typ)
	binary.BigEndian.PutUint64(b[8:], cookie)
	binary.BigEndian.PutUint32(b[16:], uint32(n))
}

// takeBack removes the readHead just gathered, with its inline bytes.
func (o *writer) takeBack(inline int, structured bool) {
	head := simpleLen
	if structured {
		head = chunkLen + 8
	}
	o.buf = o.buf[:len(o.buf)-head-inline]
}
