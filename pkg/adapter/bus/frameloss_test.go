package bus_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A byte of a stored frame changes on the disk before the journal has the frame, in
// the newest block, where the server cuts off what follows, and in an older one.
// Capture learns that the journal cannot get the frame: nobody waits for ever.
func TestADamagedFrameIsReportedAsLost(t *testing.T) {
	for _, c := range []struct {
		name    string
		frames  cdp.FrameNo
		running bool // the server runs meanwhile
	}{{"newest block", 60, false}, {"older block", 200, false}, {"older block of a server that runs", 200, true}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 64<<20)
			sink := r.Sink(t)
			for no := cdp.FrameNo(1); no <= c.frames; no++ {
				if err := sink.Publish(spooltest.Make(no, 1, 64<<10)); err != nil {
					t.Fatal(err)
				}
			}
			for range c.frames {
				if x := <-sink.Results(); x.Err != nil {
					t.Fatal(x.Err)
				}
			}
			r.Stop()
			if !c.running {
				r.flip()
			}
			r.Start()
			bustest.Eventually(t, "the server is back", r.src.Connected)
			if c.running {
				r.flip()
			}
			var newest spool.Durable
			background(t, func(ctx context.Context) error { return follow(ctx, r.Source(t)) })
			for limit := time.After(time.Minute); ; {
				select {
				case d := <-sink.Durable():
					newest = d
					switch {
					case d.Refused == d.No+1 && d.By == 0 && d.No < c.frames:
						return
					case d.No == c.frames && c.running:
						return // the server had the block in memory: nothing was lost
					case d.Refused != 0 || d.No == c.frames:
						t.Fatalf("want a frame to be lost: %+v", d)
					}
				case <-limit:
					t.Fatalf("nobody notices that a frame is lost: %+v", newest)
				}
			}
		})
	}
}

// flip changes a byte in the middle of the oldest block of the group's stream.
func (r *rig) flip() {
	r.t.Helper()
	found, err := filepath.Glob(filepath.Join(r.sites.Config("prod").StoreDir, "jetstream", "*", "streams", "WRITE_vm1", "msgs", "*.blk"))
	if err != nil || len(found) == 0 {
		r.t.Fatal(found, err)
	}
	f, err := os.OpenFile(found[0], os.O_RDWR, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	b := make([]byte, 1)
	if err == nil {
		_, err = f.ReadAt(b, info.Size()/2)
	}
	b[0] ^= 0x40
	if err == nil {
		_, err = f.WriteAt(b, info.Size()/2)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// follow takes frames as a journal does. Every now and then it reports what it has,
// and that the stream lacks the next.
func follow(ctx context.Context, src spool.Source) error {
	var at atomic.Uint64
	say := func(lacks cdp.FrameNo) {
		d := spool.Durable{No: cdp.FrameNo(at.Load()), Epoch: 1}
		if lacks != 0 {
			d.Refused = d.No + lacks
		}
		_ = src.PublishDurable(d)
	}
	go func() {
		for ctx.Err() == nil {
			say(0)
			time.Sleep(200 * time.Millisecond)
		}
	}()
	for {
		err := src.Pull(ctx, cdp.FrameNo(at.Load()+1), nil, func(m spool.Message) error { at.Store(uint64(m.No)); return nil })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if cdp.Is(err, cdp.Corrupt) {
			say(1)
		}
	}
}
