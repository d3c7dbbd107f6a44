package capture

import (
	"context"
	"errors"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/vmpolicy"
)

// retry is what is tried again, and why.
type retry struct {
	end context.CancelFunc
	err error
}

// apply starts, changes or (nil) ends the capture of a job.
func (s *Service) apply(ctx context.Context, key jobKey, j *spec.ReplicationJob) {
	s.jobs.one.Lock()
	defer s.jobs.one.Unlock()
	if err := s.retire(ctx, key, j); err != nil {
		s.notify(err, key.name)
		s.task(func() {
			if clock.Sleep(ctx, s.deps.Clock, s.cfg.ApplyRetry) == nil {
				s.apply(ctx, key, j)
			}
		})
		return
	}
	if j != nil && (j.Source.Site != s.deps.Site || j.Target.Site != key.target) {
		return
	}
	s.applyNow(ctx, key, j)
}

// applyNow is apply with jobs.one held. A job that fails is tried again until it
// succeeds or its spec changes: another process may still have its window, or a
// disk may not be there yet.
func (s *Service) applyNow(ctx context.Context, key jobKey, j *spec.ReplicationJob) {
	before, again := s.jobs.retries[key]
	if again {
		before.end()
		delete(s.jobs.retries, key)
	}
	var err, refused error
	if j == nil {
		err = s.forget(ctx, key)
	} else {
		err = s.keep(ctx, key, *j)
		refused = err
	}
	s.jobs.refuse(key, refused)
	if err == nil || ctx.Err() != nil || cdp.Is(err, cdp.Fenced) {
		return
	}
	s.applyLater(ctx, key, j, err)
	if again && before.err.Error() == err.Error() {
		return
	}
	s.notify(err, key.name)
	if _, taken := s.jobs.owner(key); !taken {
		s.tell(event.CaptureStateChanged{Group: key.group(), State: event.Detached, Reason: err.Error(), RPOClass: event.RPOUnbounded})
	}
}

// keep captures a job as its spec says. A group's name is its own at one target
// only: the second of two jobs of one name is refused, for they would take each
// other's writes.
func (s *Service) keep(ctx context.Context, key jobKey, j spec.ReplicationJob) error {
	if other, taken := s.jobs.owner(key); taken {
		return cdp.Errorf(cdp.Conflict, "capture job", key.name, "a job of this name at the site %s has its disks captured here; that of %s is not", other.target, key.target).
			WithHint("give one of the two another name")
	}
	mark, err := s.isRetired(key, j)
	if err != nil {
		return err
	}
	if mark != nil {
		return s.letGo(ctx, key, j, *mark)
	}
	if err := s.beginRound(ctx, j); err != nil {
		return err
	}
	address, err := s.tapAddress(ctx, j)
	j.Source.Listen = address
	s.jobs.set(key.group(), j)
	if err != nil {
		return err
	}
	before, _ := s.groups.Group(key.group())
	if err := s.groups.Apply(ctx, s.jobOf(j)); err != nil {
		return err
	}
	if g, err := s.groups.Group(key.group()); err == nil && g != before {
		g.Owe() // marks that came before it was here are not repeated
	}
	return nil
}

// forget ends all that is here of a job that was deleted, perhaps while this
// service was down. The snapshots of its passes go first: the job must still be known
// for that.
func (s *Service) forget(ctx context.Context, key jobKey) error {
	id := key.group()
	j, known := s.jobs.get(id)
	if _, taken := s.jobs.owner(key); taken {
		return nil // it never had the group
	}
	if !known {
		if wanted, err := s.deps.Jobs.Wanted(ctx, key.name); err != nil || wanted {
			return err // what is kept here is another target's by now
		}
	}
	if err := s.groups.Purge(ctx, id, j.Source.VM); err != nil {
		return err
	}
	s.jobs.forget(id)
	return errors.Join(s.deps.Streams.Delete(ctx, id), s.ports.forget(key.name))
}

// applyLater tries it once more, after a while. Call with jobs.one held.
func (s *Service) applyLater(ctx context.Context, key jobKey, j *spec.ReplicationJob, err error) {
	mine, end := context.WithCancel(ctx)
	s.jobs.retries[key] = retry{end, err}
	s.task(func() {
		if clock.Sleep(mine, s.deps.Clock, s.cfg.ApplyRetry) != nil {
			return
		}
		s.jobs.one.Lock()
		defer s.jobs.one.Unlock()
		if mine.Err() == nil {
			s.applyNow(ctx, key, j)
		}
	})
}

// jobOf is the group to capture for a spec.
func (s *Service) jobOf(j spec.ReplicationJob) Job {
	c := Job{Group: j.Group(), Target: j.Target.Site, VM: j.Source.VM, Mode: j.Source.Capture,
		Frozen: j.Source.VM != "", Verify: j.Adopts() && (j.Source.VM != "" || j.Source.Capture == cdp.Inline)}
	if c.Mode == cdp.CBT {
		// A point is as old as its cycle when that is complete, and the next one's
		// time goes on top: with two cycles to an RPO it is kept.
		c.Every = vmpolicy.PassEvery(j.RPO.Std())
	} else {
		c.Listen = []Listen{s.listen(j)}
	}
	for i, d := range j.Source.Disks {
		c.Disks = append(c.Disks, JobDisk{Disk: cdp.Disk{ID: cdp.DiskID(i), Name: d.Name, Size: int64(d.Size)}, Path: d.Path, Key: d.Key, Removed: d.Removed != 0})
	}
	return c
}
