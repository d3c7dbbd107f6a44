package nbd

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"tidemark.dev/pkg/core/block"
)

// Requests above the size of a piece, at odd places, with structured and with
// simple replies.
func TestLargeRequestsReadBack(t *testing.T) {
	const size = maxRequest + 8<<20
	r := newRig(t, Config{}, Export{Name: "d", Backend: newMemory(size)})
	part := make([]byte, 1<<20+4096) // no two pieces are alike
	rand.NewChaCha8([32]byte{1}).Read(part)
	want := bytes.Repeat(part, maxRequest/len(part)+1)[:maxRequest]
	c := r.dial("d")
	if n, err := c.WriteAt(want, 512); err != nil || n != len(want) || c.max != maxRequest {
		t.Fatalf("write of %d bytes: %d, %v; the server takes %d", len(want), n, err, c.max)
	}
	got := make([]byte, len(want))
	if _, err := c.ReadAt(got, 512); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read in chunks: %v, or it differs", err)
	}
	raw := r.raw()
	raw.enter("d")
	raw.write(req(cmdRead, 0, 7, 512, maxRequest), req(cmdRead, 0, 8, 512, 512))
	if cookie, e := raw.simpleReply(); cookie != 7 || e != 0 || !bytes.Equal(raw.read(maxRequest), want) {
		t.Errorf("simple reply %d, error %d, or it differs", cookie, e)
	}
	if cookie, e := raw.simpleReply(); cookie != 8 || e != 0 || !bytes.Equal(raw.read(512), want[:512]) {
		t.Errorf("the next reply %d, error %d, or it differs", cookie, e)
	}
}

// brokenFrom fails from an offset on.
type brokenFrom struct {
	block.Device
	off int64
}

func (b brokenFrom) ReadAt(p []byte, off int64) error {
	if off+int64(len(p)) > b.off {
		return syscall.EIO
	}
	return b.Device.ReadAt(p, off)
}

func (b brokenFrom) WriteAt(p []byte, off int64, fua bool) error {
	if off+int64(len(p)) > b.off {
		return syscall.ENOSPC
	}
	return b.Device.WriteAt(p, off, fua)
}

func TestALargeRequestThatFailsInTheMiddleFails(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "d", Backend: brokenFrom{newMemory(8 << 20), 3 << 20}})
	c := r.dial("d")
	p := make([]byte, 6<<20)
	if _, err := c.WriteAt(p, 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v", err)
	}
	if _, err := c.ReadAt(p, 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.ReadAt(p[:512], 0); err != nil {
		t.Errorf("the next read on the connection: %v", err)
	}
	// A simple reply that has begun cannot become an error.
	raw := r.raw()
	raw.enter("d")
	raw.write(req(cmdRead, 0, 7, 0, 6<<20))
	raw.simpleReply()
	raw.read(3 << 20)
	raw.closed("a simple reply that failed in the middle")
}

// TestClientsThatReadNoRepliesPinLittle: forty clients ask for 16 MiB each and
// read nothing; others send the head of a large write and nothing more.
func TestClientsThatReadNoRepliesPinLittle(t *testing.T) {
	m := newMemory(maxRequest)
	r := newRig(t, Config{DrainTimeout: 200 * time.Millisecond}, Export{Name: "a", Backend: m, MultiConn: true})
	const clients = 40
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range clients {
		c := r.raw()
		c.enter("a")
		if i%2 == 0 {
			c.write(req(cmdRead, 0, 1, 0, maxRequest))
			c.simpleReply() // it is being sent now
		} else {
			c.write(req(cmdRead, 0, 1, 0, 512), req(cmdWrite, 0, 2, 0, maxRequest), make([]byte, 2<<20))
			c.simpleReply()
			c.read(512)
		}
	}
	// Another client is served meanwhile.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := Dial(ctx, "unix", r.sock, "a")
	must(t, err)
	defer c.Close()
	if _, err := c.ReadAt(make([]byte, 4<<20), 0); err != nil {
		t.Error(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	most := uint64(clients+1)*(pieceLen+2*bufferLen) + 32<<20
	if held := after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc); held > most {
		t.Errorf("%d clients that do not read hold %d MiB", clients, held>>20)
	}
}
