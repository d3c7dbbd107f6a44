package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/services/journal"
)

// targetConfig is a target site: the journal service over a bus.
type targetConfig struct {
	Dir    string
	URL    string // of the bus; empty: that of the same process
	Mode   cdp.JournalMode
	Groups []groupConfig
}

// target is the journal service's surroundings.
type target struct {
	cfg  targetConfig
	conn *bus.Conn
	db   *pebblestore.DB
	stop context.CancelFunc
	done chan error
}

func startTarget(ctx context.Context, cfg targetConfig, srv *bus.Server) (_ *target, err error) {
	t := &target{cfg: cfg, done: make(chan error, 2)}
	if t.conn, err = bus.Connect(ctx, bus.Config{Site: site, Name: subjects.Journal, Server: srv, URL: cfg.URL}); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	if t.db, err = pebblestore.Open(filepath.Join(cfg.Dir, "db"), pebblestore.Options{Trouble: complain}); err != nil {
		return nil, err
	}
	space, err := pebblestore.OpenSpace(filepath.Join(cfg.Dir, "db"), 0)
	if err != nil {
		return nil, err
	}
	svc := journal.New(journal.Config{Dir: filepath.Join(cfg.Dir, "exports")},
		journal.Deps{Stores: t, Space: space, Streams: t, Replicas: images{}, Capture: t, Facts: t, Clock: clock.System})
	run, stop := context.WithCancel(context.Background())
	t.stop = stop
	go func() { t.done <- svc.Run(run) }()
	go func() { t.conn.Serve(run, subjects.Journal, svc.Endpoints()); t.done <- nil }()
	for _, g := range cfg.Groups {
		svc.Apply(journal.GroupSpec{Group: g.Group, Source: site, Mode: cfg.Mode, History: time.Hour,
			Names: []string{"disk"}, Paths: []string{filepath.Join(cfg.Dir, string(g.Group)+".img")}})
	}
	return t, nil
}

func (t *target) close() error {
	t.stop()
	err := errors.Join(<-t.done, <-t.done)
	t.conn.Close()
	return errors.Join(err, t.db.Close())
}

func complain(err error) { fmt.Fprintln(os.Stderr, "bench:", err) }

func (t *target) Open(g cdp.GroupID, d []cdp.Disk) (vault.Store, error) { return t.db.Group(g, d) }
func (t *target) Known(cdp.GroupID) ([]cdp.Disk, bool, error)           { return nil, false, nil }
func (t *target) Losses(g cdp.GroupID) ([]cdp.Loss, error)              { return t.db.Losses(g) }
func (t *target) Damage(g cdp.GroupID) error                            { return t.db.Damage(g) }
func (t *target) Drop(g cdp.GroupID) error                              { return t.db.Drop(g) }
func (t *target) Full(g cdp.GroupID) error                              { return t.db.Full(g) }

func (t *target) Source(s cdp.Site, g cdp.GroupID) (spool.Source, error) {
	return bus.OpenSource(t.conn, s, g)
}

func (t *target) Disks(_ context.Context, _ cdp.Site, id cdp.GroupID) ([]cdp.Disk, error) {
	for _, g := range t.cfg.Groups {
		if g.Group == id {
			return []cdp.Disk{{Name: "disk", Size: g.Size}}, nil
		}
	}
	return nil, nil
}

func (t *target) Clock(context.Context, cdp.Site) (int64, int64, error) {
	n := time.Now().UnixNano()
	return n, n, nil
}

func (t *target) PointCreated(context.Context, cdp.GroupID, cdp.Point)                    {}
func (t *target) PointChanged(context.Context, cdp.GroupID, cdp.Point, event.PointChange) {}
func (t *target) HorizonMoved(context.Context, cdp.GroupID, cdp.Bounds, string)           {}
func (t *target) StateChanged(context.Context, cdp.GroupID, event.JournalState, string)   {}
func (t *target) Stored(context.Context, cdp.GroupID, spool.Message, time.Duration)       {}
func (t *target) Alarm(_ context.Context, g cdp.GroupID, kind, text string) {
	complain(fmt.Errorf("journal %s: %s: %s", g, kind, text))
}

// images opens replicas.
type images struct{}

func (images) Open(d []cdp.Disk, paths []string, fresh bool) (journal.Replica, error) {
	return replica.Open(d, paths, fresh)
}
