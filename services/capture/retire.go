package capture

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/engine/durable"
)

// retired says that a job of this site's disks was failed over, and that a job here leads
// back: the disks are the replica of that one, and are neither served nor captured. It is
// kept in a file, so that no disk is served between a restart and the moment in which the
// job that leads back is read.
type retired struct {
	Target cdp.Site `json:"target"` // of the job that is retired
	// Round is the last one of the job that is retired: a later one captures the disks
	// again. By is the job that leads back.
	Round int    `json:"round"`
	By    string `json:"by"`
}

func retiredPath(cfg Config, id cdp.GroupID) string {
	return filepath.Join(cfg.StateDir, string(id)+".retired")
}

// retire keeps that a job of this site takes the place of another, and ends the capture
// of that one if it is known. Where the job was deleted (nil), nothing is retired by it any
// more. Call with jobs.one held.
func (s *Service) retire(ctx context.Context, of jobKey, by *spec.ReplicationJob) error {
	switch {
	case of.target != s.deps.Site:
		return nil
	case by == nil:
		return s.unretire(of.name)
	case by.Reverses == nil:
		return nil
	}
	r := by.Reverses
	key := jobKey{r.Site, r.Job}
	mark := retired{Target: r.Site, Round: r.Round - 1, By: by.Name}
	was, err := durable.ReadRecord[retired](retiredPath(s.cfg, key.group()))
	if err == nil && was.Target == mark.Target && was.Round >= mark.Round {
		return nil
	}
	if err := durable.WriteRecord(retiredPath(s.cfg, key.group()), mark); err != nil {
		return &cdp.Error{Op: "retire job", Kind: cdp.Transient, Subject: r.Job, Cause: err}
	}
	if j, known := s.jobs.get(key.group()); known && j.Target.Site == r.Site {
		s.applyNow(ctx, key, &j)
	}
	return nil
}

// unretire removes what a job has retired.
func (s *Service) unretire(by string) error {
	paths, err := filepath.Glob(filepath.Join(s.cfg.StateDir, "*.retired"))
	for _, p := range paths {
		mark, rerr := durable.ReadRecord[retired](p)
		if rerr == nil && mark.By == by {
			err = errors.Join(err, durable.RemoveRecord(p))
		}
	}
	if err != nil {
		return &cdp.Error{Op: "forget what was retired by", Kind: cdp.Transient, Subject: by, Cause: err}
	}
	return nil
}

// isRetired is the mark that retires a job; nil: there is none. A mark that cannot be
// read retires the job, too.
func (s *Service) isRetired(key jobKey, j spec.ReplicationJob) (*retired, error) {
	mark, err := durable.ReadRecord[retired](retiredPath(s.cfg, key.group()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, &cdp.Error{Op: "capture job", Kind: cdp.KindOf(err), Subject: key.name, Cause: err}
	case mark.Target == key.target && j.Round() <= mark.Round:
		return &mark, nil
	}
	return nil, nil
}

// letGo ends the capture of a retired job, with all that is kept of it, unless somebody
// uses its disks. The error says that it is not captured; Fenced: that stays so.
func (s *Service) letGo(ctx context.Context, key jobKey, j spec.ReplicationJob, mark retired) error {
	id := key.group()
	if in := s.groups.Clients(id); len(in) > 0 {
		return cdp.Errorf(cdp.Conflict, "capture job", key.name, "the job %s leads back from its failover and needs the disks, and connected to them are: %s", mark.By, strings.Join(in, ", ")).
			WithHint("shut that machine down: it is not the one that runs since the failover")
	}
	if err := s.groups.Purge(ctx, id, j.Source.VM); err != nil {
		return err
	}
	s.jobs.forget(id)
	if err := s.deps.Streams.Delete(ctx, id); err != nil {
		return err
	}
	return cdp.Errorf(cdp.Fenced, "capture job", key.name, "it was failed over to %s, and the job %s leads back: its disks here are the replica of that one", key.target, mark.By).
		WithHint("see: tidemark status " + mark.By + " --site " + string(s.deps.Site))
}

// beginRound forgets what is kept of an earlier round of a job: its disks are copied or
// compared anew.
func (s *Service) beginRound(ctx context.Context, j spec.ReplicationJob) error {
	before, known := s.jobs.get(j.Group())
	if !known || before.Target.Site != j.Target.Site || before.Round() == j.Round() {
		return nil
	}
	if err := s.groups.Purge(ctx, j.Group(), before.Source.VM); err != nil {
		return err
	}
	return s.deps.Streams.Delete(ctx, j.Group())
}
