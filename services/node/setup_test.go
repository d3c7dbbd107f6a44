package node

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

// The connection breaks while a site is set up, and an answer is lost with it: that
// is asked again, not waited for, whatever was asked.
func TestSetUpOutlivesALostAnswer(t *testing.T) {
	for _, at := range []string{"STREAM.CREATE.", "$KV.tidemark-state.links.", "STREAM.INFO.KV_tidemark-state "} {
		t.Run(at, func(t *testing.T) { t.Parallel(); setUpLosing(t, at) })
	}
}

// setUpLosing sets up a site whose connection breaks when a request with these bytes
// is sent.
func setUpLosing(t *testing.T, request string) {
	srv, err := bus.StartServer(t.Context(), bus.ServerConfig{Site: "dr", StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	addr, broke := breakAt(t, srv.ClientURL()[len("nats://"):], request)
	e := &env{clock: clock.System, site: "dr", peers: []cdp.Site{"prod"}, dir: t.TempDir(), log: slog.New(slog.NewTextHandler(io.Discard, nil)), tel: telemetry.Off(), dial: bus.Config{URL: "nats://" + addr}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := setUp(ctx, e); err != nil {
		t.Fatal(err)
	}
	if !broke.Load() {
		t.Fatal("the connection never broke: this test tests nothing")
	}
}

// The same of a command: it is sent again, under the same id, while there is time.
func TestACommandOutlivesALostAnswer(t *testing.T) {
	t.Parallel()
	srv, err := bus.StartServer(t.Context(), bus.ServerConfig{Site: "dr", StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	addr, broke := breakAt(t, srv.ClientURL()[len("nats://"):], "cmd.v1.dr.scheduler.job-run.web")
	conn, err := bus.Connect(ctx, bus.Config{Site: "dr", Name: subjects.Setup, URL: "nats://" + addr})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := bus.EnsureSite(ctx, conn); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Command(ctx, "dr", event.JobRun{Job: "web"}); err != nil || !broke.Load() {
		t.Fatal(err, broke.Load())
	}
}

// breakAt forwards to a server, and breaks the connection on which these bytes
// are seen first, without forwarding them.
func breakAt(t *testing.T, target, at string) (addr string, broke *atomic.Bool) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broke = &atomic.Bool{}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", target)
			if err != nil {
				a.Close()
				continue
			}
			wg.Go(func() { defer a.Close(); io.Copy(a, b) })
			wg.Go(func() {
				defer b.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := a.Read(buf)
					if bytes.Contains(buf[:n], []byte(at)) && broke.CompareAndSwap(false, true) {
						return
					}
					if _, werr := b.Write(buf[:n]); err != nil || werr != nil {
						return
					}
				}
			})
		}
	})
	return ln.Addr().String(), broke
}
