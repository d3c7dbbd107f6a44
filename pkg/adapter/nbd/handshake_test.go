package nbd

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestOptions checks the reply to each option, on one connection.
func TestOptions(t *testing.T) {
	r := newRig(t, Config{},
		Export{Name: "a", Description: "first", Backend: newMemory(1 << 20), MultiConn: true},
		Export{Name: "b", Backend: newMemory(1 << 20), ReadOnly: true, MinBlock: 4096})
	c := r.raw()
	c.write(clientFlags(3))
	for _, tc := range []struct {
		what string
		send []byte
		want []uint32 // reply types
	}{
		{"list", option(optList, nil), []uint32{repServer, repServer, repAck}},
		{"list with data", option(optList, []byte("x")), []uint32{repErrInvalid}},
		{"unknown", option(99, []byte("data")), []uint32{repErrUnsup}},
		{"extended headers", option(11, nil), []uint32{repErrUnsup}},
		{"peek", option(4, nil), []uint32{repErrUnsup}},
		{"TLS", option(optStartTLS, nil), []uint32{repErrUnsup}},
		{"too big", option(optInfo, make([]byte, maxOption+1)), []uint32{repErrTooBig}},
		{"meta before structured", option(optSetMeta, metaData("a", contextAllocation)), []uint32{repErrInvalid}},
		{"structured with data", option(optStructuredReply, []byte{1}), []uint32{repErrInvalid}},
		{"structured", option(optStructuredReply, nil), []uint32{repAck}},
		{"meta", option(optSetMeta, metaData("a", contextAllocation)), []uint32{repMeta, repAck}},
		{"meta twice", option(optSetMeta, metaData("a", contextAllocation, contextAllocation)), []uint32{repMeta, repAck}},
		{"meta of no export", option(optSetMeta, metaData("x", contextAllocation)), []uint32{repErrUnknown}},
		{"foreign meta", option(optSetMeta, metaData("a", "qemu:dirty-bitmap:x")), []uint32{repAck}},
		{"set base:", option(optSetMeta, metaData("a", "base:")), []uint32{repAck}},
		{"list all meta", option(optListMeta, metaData("a")), []uint32{repMeta, repAck}},
		{"list base:", option(optListMeta, metaData("a", "base:")), []uint32{repMeta, repAck}},
		{"cut meta", option(optSetMeta, metaData("a", "base:allocation")[:20]), []uint32{repErrInvalid}},
		{"meta with a tail", option(optSetMeta, append(metaData("a"), 1)), []uint32{repErrInvalid}},
		{"meta with many queries", option(optSetMeta, be.AppendUint32(str("a"), 1<<31)), []uint32{repErrInvalid}},
		{"info", option(optInfo, goData("a")), []uint32{repInfo, repInfo, repAck}},
		{"info with all", option(optInfo, goData("a", infoName, infoDescription, infoBlockSize, 77)), []uint32{repInfo, repInfo, repInfo, repInfo, repAck}},
		{"info of no export", option(optInfo, goData("x")), []uint32{repErrUnknown}},
		{"go to no export", option(optGo, goData("x")), []uint32{repErrUnknown}},
		{"name beyond data", option(optGo, be.AppendUint32(nil, 100)), []uint32{repErrInvalid}},
		{"huge name", option(optGo, be.AppendUint32(nil, 1<<32-1)), []uint32{repErrInvalid}},
		{"empty go", option(optGo, nil), []uint32{repErrInvalid}},
		{"go with a tail", option(optGo, append(goData("a"), 1)), []uint32{repErrInvalid}},
		{"go without block size", option(optGo, goData("b")), []uint32{repErrBlockSizeReq}},
		{"go", option(optGo, goData("b", infoBlockSize)), []uint32{repInfo, repInfo, repAck}},
	} {
		c.write(tc.send)
		for i, want := range tc.want {
			if got, data := c.optReply(); got != want {
				t.Fatalf("%s, reply %d: %#x %q, want %#x", tc.what, i, got, data, want)
			}
		}
	}
	// The last meta request was refused, so block status is not to be had.
	c.write(req(cmdBlockStatus, 0, 1, 0, 4096))
	if h := c.read(26); be.Uint32(h) != magicStructured || be.Uint32(h[20:]) != uint32(einval) {
		t.Errorf("block status without context: %x", h)
	}
}

// TestGoDescribes checks the bytes of the information replies.
func TestGoDescribes(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "a", Backend: newMemory(3 << 20), ReadOnly: true, MultiConn: true, MinBlock: 1})
	c := r.raw()
	c.write(clientFlags(3), option(optGo, goData("a", infoBlockSize)))
	_, p := c.optReply()
	want := uint16(transHasFlags | transReadOnly | transFlush | transMultiConn | transCache)
	if be.Uint16(p) != infoExport || be.Uint64(p[2:]) != 3<<20 || be.Uint16(p[10:]) != want {
		t.Errorf("export info %x", p)
	}
	_, p = c.optReply()
	if be.Uint16(p) != infoBlockSize || be.Uint32(p[2:]) != 1 || be.Uint32(p[6:]) != 4096 || be.Uint32(p[10:]) != 64<<20 {
		t.Errorf("block sizes %x", p)
	}
}

// TestContextOfOneExport checks that a metadata context goes with the export it
// was negotiated for.
func TestContextOfOneExport(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "a", Backend: newMemory(1 << 20)}, Export{Name: "b", Backend: newMemory(1 << 20)})
	for name, want := range map[string]uint16{"a": chunkBlockStatus, "b": chunkError} {
		c := r.raw()
		c.write(clientFlags(3), option(optStructuredReply, nil), option(optSetMeta, metaData("a", contextAllocation)), option(optGo, goData(name)))
		for range 6 { // structured: ack; meta: context, ack; go: two infos, ack
			c.optReply()
		}
		c.write(req(cmdBlockStatus, 0, 1, 0, 4096))
		if h := c.read(chunkLen); be.Uint16(h[6:]) != want {
			t.Errorf("block status of %s: chunk type %d, want %d", name, be.Uint16(h[6:]), want)
		}
	}
}

func TestExportName(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "a", Backend: newMemory(1 << 20)})
	for flags, extra := range map[uint32]int{0: 124, 1: 124, 2: 0, 3: 0} {
		c := r.raw()
		c.write(clientFlags(flags), option(optExportName, []byte("a")))
		if p := c.read(10 + extra); be.Uint64(p) != 1<<20 {
			t.Errorf("flags %d: %x", flags, p)
		}
		c.write(req(cmdRead, 0, 5, 0, 512))
		if cookie, e := c.simpleReply(); cookie != 5 || e != 0 {
			t.Errorf("flags %d: reply %d, error %d", flags, cookie, e)
		}
		c.read(512)
		c.Close()
	}
}

func TestAbortAndNoList(t *testing.T) {
	r := newRig(t, Config{NoList: true}, Export{Name: "a", Backend: newMemory(1 << 20)})
	c := r.raw()
	c.write(clientFlags(3), option(optList, nil), option(optAbort, nil))
	if typ, _ := c.optReply(); typ != repErrPolicy {
		t.Errorf("list: %#x", typ)
	}
	if typ, _ := c.optReply(); typ != repAck {
		t.Errorf("abort: %#x", typ)
	}
	c.closed("abort")
}

func TestHandshakeTimeout(t *testing.T) {
	const timeout = 50 * time.Millisecond
	r := newRig(t, Config{HandshakeTimeout: timeout}, Export{Backend: newMemory(1 << 20)})
	silent, busy := r.raw(), r.raw()
	_, _ = busy.Write(clientFlags(3)) // on a slow machine its time may be over
	silent.closed("silent client")
	// Options do not buy time.
	for {
		if _, err := busy.Write(option(optList, nil)); err != nil {
			break
		}
		if _, err := io.ReadFull(busy, make([]byte, 20)); err != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	// Transmission is not timed.
	c := r.dialInTime("")
	time.Sleep(2 * timeout)
	must(t, c.Flush())
}

// dialInTime dials until a handshake was quick enough for a server that allows
// little time.
func (r *rig) dialInTime(export string) *Client {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		c, err := Dial(context.Background(), "unix", r.sock, export)
		if err == nil {
			r.t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(end) {
			r.t.Fatal(err)
		}
	}
}

func TestDialErrors(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "a", Backend: newMemory(1 << 20), OnConnect: func(Peer) error {
		return errors.New("not today")
	}})
	_, err := Dial(context.Background(), "unix", r.sock, "b")
	if !errors.Is(err, ErrUnknownExport) {
		t.Errorf("unknown export: %v", err)
	}
	_, err = Dial(context.Background(), "unix", r.sock, "a")
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not today") {
		t.Errorf("refused: %v", err)
	}
	l, err := net.Listen("unix", shortDir(t)+"/mute")
	must(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err = Dial(ctx, "unix", l.Addr().String(), "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("mute server: %v", err)
	}
}
