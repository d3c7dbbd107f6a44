package scheduler

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// deletion is a request to delete a job, and the command that made it; "": none.
type deletion struct {
	api.JobDeleteRequest
	command string
}

// deleted reports whether a command has deleted its job before. One that comes again
// deletes no other job, which has the name by now.
func (s *Service) deleted(ctx context.Context, r deletion) (bool, error) {
	st, _, err := found(s.deps.Runs.Get(ctx, r.Job))
	if err != nil || st == nil || st.Deleted == 0 || st.Command != r.command {
		return false, ignoreCorrupt(err)
	}
	_, vmRev, err := found(s.deps.VMJobs.Get(ctx, r.Job))
	if err != nil && !cdp.Is(err, cdp.Corrupt) {
		return false, err
	}
	_, rev, err := found(s.deps.Jobs.Get(ctx, r.Job))
	if err != nil && !cdp.Is(err, cdp.Corrupt) {
		return false, err
	}
	return st.Deleted != rev && st.Deleted != vmRev, nil
}

// ignoreCorrupt makes nil of an entry that cannot be read.
func ignoreCorrupt(err error) error {
	if cdp.Is(err, cdp.Corrupt) {
		return nil
	}
	return err
}

// note keeps, before it happens, which spec a command deletes.
func (s *Service) note(ctx context.Context, r deletion, revision uint64) error {
	if r.command == "" {
		return nil
	}
	st, rev, err := s.deps.Runs.Get(ctx, r.Job)
	switch {
	case err == nil && st.Command == r.command && st.Deleted == revision:
		return nil
	case err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt):
		return err
	}
	return s.deps.Runs.Put(ctx, r.Job, api.RunState{Desired: api.DesiredStopped, Reason: "the job was deleted", Since: s.deps.Clock.Now(), Command: r.command, Deleted: revision}, rev)
}
