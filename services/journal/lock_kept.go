package journal

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/durable"
)

// wantKept has the journals opened that have a lock, for their jobs may be gone.
func (s *Service) wantKept() error {
	ids, err := locked(s.cfg)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if s.groups[id] != nil || s.wanted[id] != nil {
			continue
		}
		rec, err := readRecord(s.cfg, id)
		if err != nil {
			continue // its job has it opened, and that says so
		}
		s.wanted[id] = &wanted{GroupSpec: rec.Spec, kept: true}
	}
	return err
}

// keeps reports whether the journal of a deleted job has to stay, and notes it; left is
// for how long, if that is known already. The caller holds mu.
func (s *Service) keeps(id cdp.GroupID) (left time.Duration, kept bool, err error) {
	if g := s.groups[id]; g != nil {
		if left, err = g.lock.keep(g.vault.Points()); left > 0 {
			g.intake.restart() // nothing more is taken in
		}
		return left, left > 0, err
	}
	rec, err := readRecord(s.cfg, id)
	if err != nil || rec.For == 0 {
		return 0, err != nil, err
	}
	// Whether it holds anything is known once it is open.
	rec.Deleted = true
	s.wanted[id] = &wanted{GroupSpec: rec.Spec, kept: true}
	s.kick.Ring()
	return 0, true, durable.WriteRecord(lockPath(s.cfg, id), rec)
}

// tendLocks saves what locks have to remember, and drops the journals of deleted jobs
// once nothing of them is held or used.
func (s *Service) tendLocks(ctx context.Context) {
	var report []func()
	s.mu.Lock()
	for id, g := range s.groups {
		err := g.lock.tend(false)
		if err == nil && g.lock.deleted() && g.spent() {
			if err = s.drop(id); err == nil {
				report = append(report, func() {
					s.deps.Facts.StateChanged(ctx, id, event.JournalKept, "the retention lock is over: the journal of the deleted job was dropped")
				})
			}
		}
		if err != nil && g.lock.trouble.news(err, s.deps.Clock) {
			report = append(report, func() { s.deps.Facts.Alarm(ctx, id, AlarmLock, err.Error()) })
		}
	}
	s.mu.Unlock()
	for _, tell := range report {
		tell()
	}
}

// spent reports whether nothing of a deleted job's journal is held or used.
func (g *group) spent() bool {
	ps := g.vault.Points()
	_, _, held := g.lock.at(ps).Held(ps)
	return !held && !g.inFailover() && len(g.exports.list()) == 0
}

// applied has the lock follow the job of an open journal.
func (g *group) applied(ctx context.Context, s GroupSpec) {
	weaker, err := g.lock.apply(s, g.vault.Points())
	if err != nil { // it is saved again
		g.deps.Facts.Alarm(ctx, s.Group, AlarmLock, err.Error())
	}
	if weaker {
		g.deps.Facts.Alarm(ctx, s.Group, AlarmLock, "what is stored as the job's description has a shorter retention lock than the journal, or other disks: the journal keeps its own")
	}
}
