package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

var errDone = errors.New("done")

// pump publishes n frames with a window of 16 and purges nothing.
func pump(b *testing.B, s spool.Sink, frames []frame.Frame) {
	acked := 0
	for i, f := range frames {
		for i-acked >= 16 {
			r := <-s.Results()
			if r.Err != nil {
				b.Fatal(r.Err)
			}
			acked++
		}
		if err := s.Publish(f); err != nil {
			b.Fatal(err)
		}
	}
	for ; acked < len(frames); acked++ {
		if r := <-s.Results(); r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

func pull(b *testing.B, s spool.Source, last cdp.FrameNo, latest *time.Duration) {
	err := s.Pull(context.Background(), 1, nil, func(m spool.Message) error {
		if latest != nil {
			*latest += time.Since(m.Stored)
		}
		if m.No == last {
			return errDone
		}
		return nil
	})
	if err != errDone {
		b.Fatal(err)
	}
}

// direct joins the sites without the proxy, which would be measured too.
func direct(prod, dr *bus.ServerConfig) {
	prod.Links[0].Dial = dr.LeafListen
}

// BenchmarkFrames: frames of 256 KiB into the source site's stream, and out of
// it at the target site, across the leaf node.
func BenchmarkFrames(b *testing.B) {
	const n, size = 1000, 256 << 10 // 250 MiB; a record is at most 256 KiB
	frames := make([]frame.Frame, n)
	for i := range frames {
		frames[i] = spooltest.Make(cdp.FrameNo(i+1), 1, size)
	}
	var total int64
	for _, f := range frames {
		total += int64(len(f.Bytes()))
	}
	for _, mode := range []string{"publish", "pull", "through"} {
		b.Run(mode, func(b *testing.B) {
			b.SetBytes(total)
			for b.Loop() {
				b.StopTimer()
				sites := bustest.Start(b, direct)
				src, err := bus.Connect(b.Context(), bus.Config{Site: "prod", Name: subjects.Capture, Server: sites.Prod})
				if err != nil {
					b.Fatal(err)
				}
				dst, err := bus.Connect(b.Context(), bus.Config{Site: "dr", Name: subjects.Journal, Server: sites.DR})
				if err != nil {
					b.Fatal(err)
				}
				sink, err := bus.OpenFrames(b.Context(), src, "vm1", "dr", 4<<30)
				if err != nil {
					b.Fatal(err)
				}
				source, err := bus.OpenSource(dst, "prod", "vm1")
				if err != nil {
					b.Fatal(err)
				}
				switch mode {
				case "publish":
					b.StartTimer()
					pump(b, sink, frames)
				case "pull":
					pump(b, sink, frames)
					b.StartTimer()
					pull(b, source, n, nil)
				case "through":
					b.StartTimer()
					done := make(chan struct{})
					go func() { defer close(done); pull(b, source, n, nil) }()
					pump(b, sink, frames)
					<-done
				}
				b.StopTimer()
				sink.Close()
				src.Close()
				dst.Close()
				sites.Prod.Close()
				sites.DR.Close()
				b.StartTimer()
			}
		})
	}
}
