package bus

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/spoolshare"
)

// Spool is the frame streams of a site, which share its budget of disk space. It
// is the only one that gives a stream its size. One process has it at a time.
//
// Invariant: the sizes of all streams add up to the budget at most, so that the
// server has room for each stream that is made. When a group comes the others
// shrink first; when one goes they grow. No resize removes a frame.
type Spool struct {
	conn   *Conn
	budget spoolshare.Budget

	turn   chan struct{}         // holds a token while nobody uses sizes
	sizes  map[cdp.GroupID]int64 // of the streams that exist, in bytes; nil: not known yet
	groups atomic.Int64          // how many streams exist, for Use
}

// sizeTime bounds the making or resizing of one stream.
const sizeTime = 5 * time.Second

// NewSpool asks the bus nothing yet.
func NewSpool(conn *Conn, budget spoolshare.Budget) *Spool {
	s := &Spool{conn: conn, budget: budget, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// Frames is OpenFrames for a stream that has its share of the spool.
// Full: the spool has no room for one more group.
func (s *Spool) Frames(ctx context.Context, group cdp.GroupID, target cdp.Site) (*FrameSink, error) {
	return openFrames(ctx, s.conn, group, target, func(ctx context.Context, set func(context.Context, int64) error) error {
		return s.place(ctx, group, set)
	})
}

// place sets the size of a group's stream, after the others were made smaller if
// it is new.
func (s *Spool) place(ctx context.Context, group cdp.GroupID, set func(context.Context, int64) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	n := len(s.sizes)
	if _, known := s.sizes[group]; !known {
		if n++; n > s.budget.Room() {
			return cdp.Errorf(cdp.Full, "share spool", string(group), "the spool of site %s, %d MiB, has room for %d groups, and all of it is taken", s.conn.site, s.budget>>20, s.budget.Room()).
				WithHint("raise spool of the site in up.yaml, or delete a job that is captured there")
		}
	}
	share := s.budget.Share(n)
	if err := s.level(ctx, share, group); err != nil {
		return err
	}
	// The wait for the turn may have used up most of the caller's time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sizeTime)
	defer cancel()
	if err := set(ctx, share); err != nil {
		return err
	}
	s.sizes[group] = share
	return nil
}

// Delete removes a group's stream with all its frames, after its job was deleted.
func (s *Spool) Delete(ctx context.Context, group cdp.GroupID) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := DeleteFrames(ctx, s.conn, group); err != nil {
		return err
	}
	delete(s.sizes, group)
	if err := s.level(ctx, s.budget.Share(len(s.sizes)), ""); err != nil && ctx.Err() == nil {
		s.conn.notify(Notice{What: "spool not divided anew", Err: err}) // the streams keep smaller shares for now
	}
	return nil
}

// Use is how the spool is divided now.
func (s *Spool) Use() api.SpoolUse { return s.budget.Divide(int(s.groups.Load())) }

// enter waits for the turn, and finds the streams at the first.
func (s *Spool) enter(ctx context.Context) error {
	const op = "share spool"
	select {
	case <-s.turn:
	case <-ctx.Done():
		return wrap(ctx.Err(), op, string(s.conn.site))
	}
	if s.sizes != nil {
		return nil
	}
	sizes, err := s.find(ctx)
	if err != nil {
		s.leave()
		return wrap(err, op, string(s.conn.site))
	}
	s.sizes = sizes
	return nil
}

func (s *Spool) leave() {
	s.groups.Store(int64(len(s.sizes)))
	s.turn <- struct{}{}
}

// find lists the frame streams of the site with their sizes.
func (s *Spool) find(ctx context.Context) (map[cdp.GroupID]int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sizeTime)
	defer cancel()
	sizes := map[cdp.GroupID]int64{}
	all := s.conn.js.ListStreams(ctx, jetstream.WithStreamListSubject(subjects.WriteSubject(s.conn.site, "*")))
	for info := range all.Info() {
		if len(info.Config.Subjects) != 1 {
			continue
		}
		if g, ok := subjects.WrittenGroup(s.conn.site, info.Config.Subjects[0]); ok {
			sizes[g] = info.Config.MaxBytes
		}
	}
	return sizes, all.Err()
}

// level gives every stream but one this size. A stream that is gone has none.
func (s *Spool) level(ctx context.Context, share int64, but cdp.GroupID) error {
	for _, shrink := range []bool{true, false} { // what shrinks makes room for what grows
		for g, size := range s.sizes {
			if g == but || size == share || size > share != shrink {
				continue
			}
			err := s.resize(ctx, g, share)
			if cdp.Is(err, cdp.NotFound) {
				delete(s.sizes, g)
				continue
			}
			if err != nil {
				return wrap(err, "share spool", string(g))
			}
			s.sizes[g] = share
		}
	}
	return nil
}

func (s *Spool) resize(ctx context.Context, g cdp.GroupID, share int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sizeTime)
	defer cancel()
	return frameStream{conn: s.conn, group: g}.resize(ctx, share)
}
