package rpomonitor

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/rpo"
)

// memory is what the monitor keeps of a job between measurements.
type memory struct {
	rpo.Record
	stored rpo.Record // zero: nothing, since the start
	told   time.Time  // when rpo.measured was last emitted
	// owed are breaches and restorations that are not emitted yet, oldest first.
	owed []owed
}

// owed is a change of status with the measurement that led to it.
type owed struct {
	change  rpo.Change
	payload event.RPOMeasured
}

// measure measures every job once. What cannot be stored or emitted now is tried
// again the next time. The round is stored last: it vouches for the records.
func (s *Service) measure(ctx context.Context) {
	jobs := s.known.all()
	round := rpo.Round{At: s.deps.Clock.Now(), Journal: s.heard}
	s.tellEvery = s.cfg.TellEvery + time.Duration(len(jobs))*tellCost
	for name, j := range jobs {
		if err := s.measureJob(ctx, name, j, round.At); err != nil && ctx.Err() == nil {
			round.Missing = append(round.Missing, name)
			s.deps.Notify(cdp.Wrap(err, "measure RPO of", name))
		}
	}
	if err := s.deps.Records.PutRound(ctx, round); err != nil && ctx.Err() == nil {
		s.deps.Notify(cdp.Wrap(err, "store", "the round of measurements"))
	}
}

func (s *Service) measureJob(ctx context.Context, name string, j jobFacts, now time.Time) error {
	m := s.mem[name]
	if j.spec == nil {
		if m == nil {
			return nil
		}
		delete(s.mem, name)
		return s.deps.Records.Delete(ctx, name)
	}
	if m == nil {
		old, err := s.deps.Records.Get(ctx, name)
		if err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt) { // a new one is written
			return err
		}
		m = &memory{Record: old}
		s.mem[name] = m
	}
	if j.point == nil && j.journal.IsZero() {
		j.point = m.Point // from before a restart, until the journal answers
	}
	o := rpo.Objective{RPO: j.spec.RPO.Std(), Fail: j.spec.FailIfRPOExceeds.Std()}
	in := rpo.Sample{Now: now, Running: j.running && !j.stopped, Point: j.point, Offset: j.offset, OffsetBound: j.bound}
	next, change := rpo.Step(m.State, o, in)
	m.Record = rpo.Record{State: next, Objective: o.RPO, FailAt: o.Fail, Point: j.point, Journal: j.journal, ClockOffset: j.offset, ClockBound: j.bound}
	measured := event.RPOMeasured{Job: name, Seconds: next.Value.Seconds(), Bound: next.Bound.Seconds(), Objective: o.RPO.Seconds()}
	if change != rpo.None {
		m.owed = append(m.owed, owed{change, measured})
	}
	// Emit before the record is stored: after a crash in between, the breach is
	// reported twice rather than never.
	if err := s.tell(ctx, m, measured); err != nil {
		return err
	}
	if m.Foretold(m.stored) {
		return nil
	}
	err := s.deps.Records.Put(ctx, name, m.Record)
	if err == nil {
		m.stored = m.Record
	}
	return err
}

// tell emits the events that are due.
func (s *Service) tell(ctx context.Context, m *memory, measured event.RPOMeasured) error {
	for len(m.owed) > 0 {
		var p event.Payload = event.RPOBreached(m.owed[0].payload)
		if m.owed[0].change == rpo.Restored {
			p = event.RPORestored(m.owed[0].payload)
		}
		if err := s.deps.Events.Emit(ctx, p); err != nil {
			return err
		}
		m.owed = m.owed[1:]
	}
	if m.Status == rpo.NoData || m.At.Sub(m.told) < max(s.tellEvery, m.Objective) {
		return nil
	}
	if err := s.deps.Events.Emit(ctx, measured); err != nil {
		return err
	}
	m.told = m.At
	return nil
}
