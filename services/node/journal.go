package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/services/journal"
)

// journalWiring gives the journal service the bus and the stores.
type journalWiring struct {
	conn *bus.Conn
	db   *pebblestore.DB
}

// envTransporter names the appliance that the process runs on; the appliance's
// start sets it from its guestinfo.
const envTransporter = "TIDEMARK_TRANSPORTER"

// failoverReserve is how many bytes of the journals' disk only a failover may use.
const failoverReserve = 64 << 20

// runJournal gives the journal service the bus and its directory.
func runJournal(ctx context.Context, e *env) (err error) {
	conn, err := e.connect(ctx, subjects.Journal)
	if err != nil {
		return err
	}
	defer conn.Close()
	dir := e.path("journal")
	if err := roomToStart(dir, e.dir); err != nil {
		return err
	}
	w := journalWiring{conn: conn}
	warn := func(err error) { e.warn(err) }
	store := journalStore(e.dir)
	if w.db, err = pebblestore.Open(store, pebblestore.Options{Trouble: warn, Keep: failoverReserve}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.db.Close()) }()
	space, err := pebblestore.OpenSpace(store, failoverReserve)
	if err != nil {
		return err
	}
	agreed, err := openApprovals(ctx, e, conn)
	if err != nil {
		return err
	}
	s := journal.New(journal.Config{Dir: filepath.Join(dir, "exports"), Transporter: os.Getenv(envTransporter)},
		journal.Deps{Stores: w, Space: space, Streams: w, Replicas: e.places, Servers: nbdServers{e.door(), e.places}, OpenScratch: openScratch, Capture: w, Approvals: agreed, Look: looker(e.places.replicas), Memory: e.memory, Facts: &journalFacts{e: e, conn: conn, timings: e.metrics.WritePath(e.site), traced: map[cdp.GroupID]tracedFrame{}}, Clock: clock.System})
	defer e.metrics.Journal(e.site, asked[api.StatusReply](s.Endpoints()[api.JournalStatus]))()
	specs, err := openJobs(ctx, e, conn)
	if err != nil {
		return err
	}
	return withParts(ctx, e, s.Run,
		func(ctx context.Context) error { return conn.Serve(ctx, subjects.Journal, s.Endpoints()) },
		func(ctx context.Context) error {
			return conn.HandleCommands(ctx, subjects.Journal, map[string]bus.Handler{
				"point-tag": s.TagPoint, "point-pin": s.PinPoint, "point-delete": s.DeletePoint})
		},
		func(ctx context.Context) error {
			return specs.Watch(ctx, func(name string, j *spec.ReplicationJob) error {
				if err := s.JobChanged(name, j); err != nil {
					e.warn(err)
				}
				return nil
			})
		})
}

// Stores

func (w journalWiring) Open(g cdp.GroupID, disks []cdp.Disk) (vault.Store, error) {
	return w.db.Group(g, disks)
}

func (w journalWiring) Known(g cdp.GroupID) ([]cdp.Disk, bool, error) { return w.db.Known(g) }

func (w journalWiring) Damage(g cdp.GroupID) error { return w.db.Damage(g) }

func (w journalWiring) Losses(g cdp.GroupID) ([]cdp.Loss, error) { return w.db.Losses(g) }

func (w journalWiring) Drop(g cdp.GroupID) error { return w.db.Drop(g) }

func (w journalWiring) Full(g cdp.GroupID) error { return w.db.Full(g) }

// Streams

func (w journalWiring) Source(site cdp.Site, g cdp.GroupID) (spool.Source, error) {
	return bus.OpenSource(w.conn, site, g)
}

// Capture

func (w journalWiring) Disks(ctx context.Context, site cdp.Site, g cdp.GroupID) ([]cdp.Disk, error) {
	c, err := client.CaptureStatus(ctx, w.conn, site, w.conn.Site(), g)
	return c.Disks, err
}

func (w journalWiring) Clock(ctx context.Context, site cdp.Site) (received, sent int64, err error) {
	var r api.ClockReply
	err = w.conn.Request(ctx, site, subjects.Capture, api.CaptureClock, api.ClockRequest{Sent: clock.System.Now().UnixNano()}, &r)
	return r.Received, r.Sent, err
}
