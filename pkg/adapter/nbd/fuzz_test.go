package nbd

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// pump sends b to a fresh server and hangs up. The server must end by itself
// and hold no more memory than it may.
func pump(t *testing.T, b []byte) {
	m := newMemory(1 << 20)
	s := New(Config{HandshakeTimeout: time.Minute})
	must(t, s.AddExport(Export{Name: "a", Backend: m}))
	client, server := net.Pipe()
	c := &conn{srv: s, base: server, nc: server}
	done := make(chan struct{})
	go func() { c.serve(context.Background()); close(done) }()
	go io.Copy(io.Discard, client)
	client.Write(b)
	client.Close()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the server does not end")
	}
	if cap(c.in.buf) > bufferLen || cap(c.out.buf) > bufferLen || cap(c.scratch) > pieceLen {
		t.Errorf("memory kept: in %d, out %d", cap(c.in.buf), cap(c.out.buf))
	}
	if x := s.lookup("a"); len(x.conns) != 0 {
		t.Error("the export still has a connection")
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add([]byte{})
	f.Add(clientFlags(3))
	f.Add(clientFlags(0))
	f.Add(join(clientFlags(3), option(optList, nil), option(optAbort, nil)))
	f.Add(join(clientFlags(3), option(optExportName, []byte("a"))))
	f.Add(join(clientFlags(3), option(optStructuredReply, nil), option(optSetMeta, metaData("a", contextAllocation)),
		option(optListMeta, metaData("a")), option(optInfo, goData("a", 0, 1, 2, 3)), option(optGo, goData("a", infoBlockSize))))
	f.Add(join(clientFlags(3), option(optStartTLS, nil), option(77, []byte("x"))))
	f.Add(join(clientFlags(3), optionOf(optGo, 1<<31, nil)))
	f.Fuzz(func(t *testing.T, b []byte) { pump(t, b) })
}

func FuzzTransmission(f *testing.F) {
	f.Add(req(cmdRead, 0, 1, 0, 512))
	f.Add(join(req(cmdWrite, cmdFlagFUA, 1, 512, 512), bytes.Repeat([]byte{1}, 512), req(cmdFlush, 0, 2, 0, 0), req(cmdDisc, 0, 3, 0, 0)))
	f.Add(join(req(cmdTrim, 0, 1, 0, 4096), req(cmdWriteZeroes, cmdFlagNoHole|cmdFlagFastZero, 2, 0, 4096), req(cmdCache, 0, 3, 0, 512)))
	f.Add(join(req(cmdBlockStatus, cmdFlagReqOne, 1, 0, 1<<20), req(cmdRead, cmdFlagDF, 2, 0, 1<<20)))
	f.Add(req(cmdWrite, 0, 1, 0, 1<<32-1))
	f.Add(req(cmdWrite, 0, 1, 1<<63, maxRequest))
	f.Add(req(cmdRead, 0, 1, 1<<64-512, 1024))
	f.Add(req(cmdBlockStatus, 0, 1, 0, 1<<32-512))
	enter := join(clientFlags(3), option(optStructuredReply, nil), option(optSetMeta, metaData("a", contextAllocation)), option(optGo, goData("a")))
	plain := join(clientFlags(3), option(optExportName, []byte("a")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b)%3 == 0 {
			pump(t, join(plain, b))
		} else {
			pump(t, join(enter, b))
		}
	})
}

// FuzzClient answers a Client's requests with arbitrary bytes.
func FuzzClient(f *testing.F) {
	simple := func(cookie uint64, e uint32) []byte {
		return be.AppendUint64(be.AppendUint32(be.AppendUint32(nil, magicSimple), e), cookie)
	}
	chunk := func(flags, typ uint16, cookie uint64, p []byte) []byte {
		b := be.AppendUint16(be.AppendUint16(be.AppendUint32(nil, magicStructured), flags), typ)
		return append(be.AppendUint32(be.AppendUint64(b, cookie), uint32(len(p))), p...)
	}
	f.Add(join(simple(1, 0), simple(2, 0), simple(3, 5)))
	f.Add(chunk(1, chunkOffsetData, 1, append(be.AppendUint64(nil, 512), make([]byte, 512)...)))
	f.Add(join(chunk(0, chunkOffsetHole, 1, be.AppendUint32(be.AppendUint64(nil, 512), 512)), chunk(1, chunkNone, 1, nil)))
	f.Add(chunk(1, chunkError, 1, []byte{0, 0, 0, 5, 0, 2, 'n', 'o'}))
	f.Add(chunk(1, chunkBlockStatus, 2, []byte{0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 3}))
	f.Add(chunk(0, chunkOffsetData, 1, append(be.AppendUint64(nil, 0), make([]byte, 512)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		c := &Client{nc: near, max: maxRequest, structured: len(b)%2 == 0, allocation: true,
			calls: map[uint64]*call{}, done: make(chan struct{})}
		go io.Copy(io.Discard, far)
		done := make(chan struct{}, 3)
		go func() { c.ReadAt(make([]byte, 512), 512); done <- struct{}{} }()
		go func() { c.Status(0, 4096); done <- struct{}{} }()
		go func() { c.Flush(); done <- struct{}{} }()
		for range 200 { // until all are in progress
			c.mu.Lock()
			n := len(c.calls)
			c.mu.Unlock()
			if n == 3 {
				break
			}
			time.Sleep(10 * time.Microsecond)
		}
		go c.receive()
		far.Write(b)
		far.Close()
		for range 3 {
			<-done
		}
		c.Abort()
	})
}
