package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/capture"
)

const site = cdp.Site("bench")

// sourceConfig is a source site: a NATS server and the capture service.
type sourceConfig struct {
	Dir    string
	Mode   cdp.CaptureMode
	Listen bool // for clients in other processes
	Later  bool // the groups begin with the order "go"
	Groups []groupConfig
	// reached is told the newest durable write of the first group.
	reached func(cdp.Seq)
	// mute: no journal service answers; it is empty.
	mute bool
}

// groupConfig is a group of one disk.
type groupConfig struct {
	Group  cdp.GroupID
	Path   string // of the source's image; empty for a tap
	Size   int64
	Socket string // where it is exported; may be empty
}

type source struct {
	cfg    sourceConfig
	srv    *bus.Server
	conn   *bus.Conn
	setUp  *bus.Conn // makes the streams that capture asks for
	kept   chan error
	unkeep context.CancelFunc
	svc    *capture.Groups
	stop   context.CancelFunc
	done   chan error
	window string
	events *changes
}

// changes counts how often groups had to give up their order.
type changes struct{ overflows atomic.Int64 }

func (c *changes) StateChanged(x capture.Change) {
	if x.To == event.Overflow || x.To == event.NeedsResync {
		c.overflows.Add(1)
	}
}
func (c *changes) Progress(capture.Progress)         {}
func (c *changes) ListenerFailed(cdp.GroupID, error) {}

func startSource(ctx context.Context, cfg sourceConfig) (_ *source, err error) {
	s := &source{cfg: cfg, done: make(chan error, 1), events: &changes{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	sc := bus.ServerConfig{Site: site, StoreDir: filepath.Join(cfg.Dir, "nats")}
	if cfg.Listen {
		sc.Listen = "127.0.0.1:0"
	}
	if s.srv, err = bus.StartServer(ctx, sc); err != nil {
		return s, err
	}
	if s.conn, err = bus.Connect(ctx, bus.Config{Site: site, Name: subjects.Capture, Server: s.srv}); err != nil {
		return s, err
	}
	if err := s.keepStreams(ctx); err != nil {
		return s, err
	}
	if s.window, err = os.MkdirTemp("/dev/shm", "tmbench"); err != nil {
		return s, err
	}
	state := filepath.Join(cfg.Dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return s, err
	}
	s.svc, err = capture.NewGroups(capture.Config{StateDir: state, WindowDir: s.window}, capture.GroupDeps{
		Stream: func(g cdp.GroupID) (capture.Stream, error) {
			sink, err := bus.OpenFrames(ctx, s.conn, g, site, 8<<30)
			if err != nil {
				return nil, err
			}
			reached := cfg.reached
			if g != cfg.Groups[0].Group {
				reached = nil
			}
			return newStream(sink, reached), nil
		},
		Epochs: &epochs{}, Journal: cursor{s.conn, cfg.mute}, Events: s.events, Snapshots: imageSnapshots{cfg.Groups},
		Servers: diskServers{}, Disk: openDisk,
	})
	if err != nil {
		return s, err
	}
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.done <- s.svc.Run(run) }()
	if cfg.Later {
		return s, nil
	}
	return s, s.begin(ctx)
}

// keepStreams makes the streams of groups until the source is closed.
func (s *source) keepStreams(ctx context.Context) (err error) {
	if s.setUp, err = bus.Connect(ctx, bus.Config{Site: site, Name: subjects.Setup, Server: s.srv}); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.Background())
	s.unkeep, s.kept = stop, make(chan error, 1)
	go func() { s.kept <- bus.KeepSite(run, s.setUp) }()
	return until(ctx, time.Minute, func() (bool, error) {
		err := s.conn.Request(ctx, site, subjects.Setup, api.FramesDelete, api.FramesRequest{Group: "none"}, nil)
		return err == nil, err
	})
}

// begin captures the groups.
func (s *source) begin(ctx context.Context) error {
	cfg := s.cfg
	for _, g := range cfg.Groups {
		j := capture.Job{Group: g.Group, Mode: cfg.Mode, Disks: []capture.JobDisk{{Disk: cdp.Disk{Name: "disk", Size: g.Size}, Path: g.Path}}}
		if cfg.Mode == cdp.CBT {
			j.Every, j.Disks[0].Path = time.Hour, ""
		}
		if g.Socket != "" {
			j.Listen = []capture.Listen{{Network: "unix", Address: g.Socket}}
		}
		if err := s.svc.Apply(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// stopCapture drains and ends the groups; the bus stays.
func (s *source) stopCapture() error {
	if s.stop == nil {
		return nil
	}
	s.stop()
	s.stop = nil
	return <-s.done
}

func (s *source) close() error {
	err := s.stopCapture()
	if s.unkeep != nil {
		s.unkeep()
		<-s.kept
	}
	if s.setUp != nil {
		s.setUp.Close()
	}
	if s.conn != nil {
		s.conn.Close()
	}
	if s.srv != nil {
		s.srv.Close()
	}
	if s.window != "" {
		err = errors.Join(err, os.RemoveAll(s.window))
	}
	return err
}

// settled waits until every group replicates and the journal has all of it.
func (s *source) settled(ctx context.Context) error {
	for _, c := range s.cfg.Groups {
		g, err := s.svc.Group(c.Group)
		if err != nil {
			return err
		}
		if err := until(ctx, 60*time.Second, func() (bool, error) {
			st := g.Status()
			if st.State == event.Replicating && st.Pending == 0 && st.Durable >= st.Acked {
				return true, nil
			}
			return false, fmt.Errorf("group %s: %s, %d pending, durable %d of %d: %v", c.Group, st.State, st.Pending, st.Durable, st.Acked, st.Trouble)
		}); err != nil {
			return err
		}
	}
	return nil
}

// attached waits until writes get their place; of a tap, whose disk is empty, it
// says that it is copied.
func (s *source) attached(ctx context.Context) error {
	for _, c := range s.cfg.Groups {
		g, err := s.svc.Group(c.Group)
		if err != nil {
			return err
		}
		if err := until(ctx, 60*time.Second, func() (bool, error) {
			st := g.Status()
			return st.State != event.Detached, fmt.Errorf("group %s: %s: %v", c.Group, st.State, st.Trouble)
		}); err != nil {
			return err
		}
		if s.cfg.Mode == cdp.Tap {
			if err := errors.Join(g.CopyStarted(0), g.Synced(0)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ready waits for the seed, and makes a point in every group, so that the
// journal keeps history from there on.
func (s *source) ready(ctx context.Context) error {
	if err := s.attached(ctx); err != nil {
		return err
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	for _, c := range s.cfg.Groups {
		g, err := s.svc.Group(c.Group)
		if err == nil {
			_, err = g.Mark(true)
		}
		if err != nil {
			return err
		}
		if err := until(ctx, 60*time.Second, func() (bool, error) {
			var r api.StatusReply
			if err := s.conn.Request(ctx, site, subjects.Journal, api.JournalStatus, api.GroupRequest{Group: c.Group}, &r); err != nil {
				return false, err
			}
			if len(r.Groups) == 1 && r.Groups[0].Points > 0 && r.Groups[0].Bounds.Horizon == r.Groups[0].Oldest.Seq {
				return true, nil
			}
			return false, fmt.Errorf("the journal has %+v", r)
		}); err != nil {
			return err
		}
	}
	return nil
}

// merged waits until every group's first recovery point is in its replica.
func (s *source) merged(ctx context.Context) error {
	for _, c := range s.cfg.Groups {
		if err := until(ctx, 10*time.Minute, func() (bool, error) {
			var r api.StatusReply
			if err := s.conn.Request(ctx, site, subjects.Journal, api.JournalStatus, api.GroupRequest{Group: c.Group}, &r); err != nil {
				return false, err
			}
			if len(r.Groups) == 1 && r.Groups[0].Points > 0 && r.Groups[0].Bounds.Base == r.Groups[0].Newest.Seq {
				return true, nil
			}
			return false, fmt.Errorf("the journal has %+v", r)
		}); err != nil {
			return err
		}
	}
	return nil
}

// until asks again and again; when time is up it gives the last reason.
func until(ctx context.Context, d time.Duration, ok func() (bool, error)) error {
	for end := time.Now().Add(d); ; time.Sleep(5 * time.Millisecond) {
		yes, err := ok()
		if yes || ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited in vain: %w", err)
		}
	}
}
