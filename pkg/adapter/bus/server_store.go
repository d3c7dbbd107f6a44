package bus

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// The server never writes to a stream again whose file could not be written once, and
// switches JetStream off when a copy cannot be: a disk that was full for a second would
// stop a site until its restart. So JetStream is started anew once there is room.

// storeRoom is how many bytes must be free to start JetStream anew; on a small file
// system a sixteenth of it is enough.
const storeRoom = 64 << 20

// KeepStore looks, every so often until ctx ends, whether the store can be written, and
// starts JetStream anew where it cannot. Connections stay; what is published meanwhile
// is refused. It calls said with what it found, and with nil once all works again.
func (s *Server) KeepStore(ctx context.Context, every time.Duration, said func(error)) {
	pause := clock.Backoff{Min: every, Max: 20 * every} // while starting anew does not help
	broken := false
	for wait := every; clock.Sleep(ctx, clock.System, wait) == nil; {
		wait = every
		err := s.storeFails()
		if err == nil {
			if broken {
				broken = false
				pause.Reset()
				said(nil)
			}
			continue
		}
		if !broken {
			broken = true
			said(err)
		}
		if s.roomInStore() {
			wait = pause.Next()
			if err := s.restartStore(); err != nil {
				said(err)
			}
		}
	}
}

// storeFails is why a stream cannot be written, nil if all can.
func (s *Server) storeFails() error {
	for _, e := range s.ns.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if e.Type != server.HealthzErrorJetStream && !strings.Contains(e.Error, "write error") {
			continue // of a server that is busy, or a stream that is being deleted
		}
		return cdp.Errorf(cdp.Full, "write the NATS store", string(s.site), "%s", e.Error).
			WithHint("free space on the disk of " + s.opts.StoreDir + ": it goes on by itself")
	}
	return nil
}

func (s *Server) roomInStore() bool {
	var st unix.Statfs_t
	if unix.Statfs(s.opts.StoreDir, &st) != nil {
		return false
	}
	return int64(st.Bavail)*st.Bsize >= min(storeRoom, int64(st.Blocks)*st.Bsize/16)
}

// restartStore starts JetStream anew, as a start of the server would.
func (s *Server) restartStore() error {
	const op = "restart JetStream"
	if err := s.ns.ShutdownJetStream(); err != nil {
		return cdp.Wrap(err, op, string(s.site))
	}
	o := s.opts
	err := s.ns.EnableJetStream(&server.JetStreamConfig{
		StoreDir: o.StoreDir, SyncInterval: o.SyncInterval, SyncAlways: o.SyncAlways, Strict: !o.NoJetStreamStrict,
		MaxMemory: o.JetStreamMaxMemory, MaxStore: o.JetStreamMaxStore, Domain: o.JetStreamDomain, CompressOK: true,
	})
	return cdp.Wrap(err, op, string(s.site))
}
