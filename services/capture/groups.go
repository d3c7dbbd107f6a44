package capture

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
)

// Groups captures any number of groups. Its methods may be called concurrently.
type Groups struct {
	cfg  Config
	deps GroupDeps

	mu     sync.Mutex
	closed bool
	groups map[cdp.GroupID]*running
}

type running struct {
	mu      sync.Mutex // one change of a group at a time
	job     Job
	g       *Group
	servers []DiskServer
}

// NewGroups captures nothing yet. Invalid names the field that is wrong.
func NewGroups(cfg Config, deps GroupDeps) (*Groups, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if deps.Stream == nil || deps.Epochs == nil || deps.Journal == nil || deps.Disk == nil {
		return nil, cdp.Errorf(cdp.Invalid, "new capture groups", "deps", "stream, epochs, journal or disk is missing")
	}
	deps, err := deps.withDefaults()
	return &Groups{cfg: cfg, deps: deps, groups: map[cdp.GroupID]*running{}}, err
}

// Run keeps them up until ctx ends, then stops every group: listeners
// first, then each window drains within DrainTimeout.
func (s *Groups) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	var ids []cdp.GroupID
	for id := range s.groups {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { errs[i] = s.Remove(context.WithoutCancel(ctx), id) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Apply starts to capture a group, or restarts it if it runs with another job.
// The same job again changes nothing. When it returned nil the group's disks are
// served.
func (s *Groups) Apply(ctx context.Context, job Job) error {
	if err := job.check(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return cdp.Errorf(cdp.Transient, "apply job", string(job.Group), "the service is stopping")
	}
	r := s.groups[job.Group]
	if r == nil {
		r = &running{}
		s.groups[job.Group] = r
	}
	s.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.g != nil && sameJob(r.job, job) {
		return nil
	}
	err := s.ready(job)
	if err == nil {
		err = s.stop(ctx, r)
	}
	if err == nil {
		err = s.start(r, job)
	}
	return cdp.Wrap(err, "apply job", string(job.Group))
}

// Remove stops capturing a group; its map and window stay for another Apply.
// A group that does not run is no error.
func (s *Groups) Remove(ctx context.Context, id cdp.GroupID) error {
	s.mu.Lock()
	r := s.groups[id]
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return cdp.Wrap(s.stop(ctx, r), "remove job", string(id))
}

// Purge removes a group and forgets everything about it: its map and window go
// too, so that another Apply is a first start. What its passes left is removed
// first. While that fails nothing is forgotten: call Purge again.
// vm is the machine of the group, if it has one and that is known.
func (s *Groups) Purge(ctx context.Context, id cdp.GroupID, vm string) error {
	if err := cdp.CheckName("group", string(id)); err != nil {
		return err
	}
	if err := s.Remove(ctx, id); err != nil {
		return err
	}
	if _, err := os.Lstat(chainPath(s.cfg, id)); err == nil && s.deps.Snapshots != nil {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.ThawTimeout)
		defer cancel()
		if err := s.deps.Snapshots.Thaw(ctx, Machine{Group: id, VM: vm}, ""); err != nil && !cdp.Is(err, cdp.NotFound) {
			return cdp.Wrap(err, "thaw", string(id))
		}
	}
	var errs []error
	if err := durable.RemoveRecord(chainPath(s.cfg, id)); err != nil {
		errs = append(errs, &cdp.Error{Op: "purge group", Kind: cdp.Transient, Subject: chainPath(s.cfg, id), Cause: err})
	}
	for _, path := range []string{
		stampsPath(s.cfg, id),
		filepath.Join(s.cfg.StateDir, string(id)+".dirty"),
		filepath.Join(s.cfg.StateDir, string(id)+".window"),
		filepath.Join(s.cfg.WindowDir, string(id)+".window"),
	} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, &cdp.Error{Op: "purge group", Kind: cdp.Transient, Subject: path, Cause: err})
		}
	}
	return errors.Join(errs...)
}

// ready is why a job's disks could not be served, as far as that shows while those
// of the job before are.
func (s *Groups) ready(job Job) error {
	for _, at := range job.Listen {
		if s.deps.Servers == nil {
			return cdp.Errorf(cdp.Invalid, "serve", "listen", "this service serves no disks")
		}
		if err := s.deps.Servers.Ready(at); err != nil {
			return cdp.Wrap(err, "serve", string(job.Group))
		}
	}
	return nil
}

func (s *Groups) start(r *running, job Job) error {
	g, err := OpenGroup(job, s.cfg, s.deps)
	if err != nil {
		return err
	}
	srv, err := g.serve(s.deps.Servers)
	if err != nil {
		return errors.Join(err, g.Close(context.Background()))
	}
	g.Start()
	s.mu.Lock()
	defer s.mu.Unlock()
	r.job, r.g, r.servers = job, g, srv
	return nil
}

func (s *Groups) stop(ctx context.Context, r *running) error {
	if r.g == nil {
		return nil
	}
	closed := closeAll(r.servers)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DrainTimeout)
	defer cancel()
	err := errors.Join(closed, r.g.Close(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	r.g = nil
	return err
}

// Group is the running group of that name; NotFound when there is none.
func (s *Groups) Group(id cdp.GroupID) (*Group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.groups[id]; r != nil && r.g != nil {
		return r.g, nil
	}
	return nil, cdp.Errorf(cdp.NotFound, "find group", string(id), "it is not captured here")
}

// Clients names who is connected to a group's disks, one text for each connection.
func (s *Groups) Clients(id cdp.GroupID) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.groups[id]; r != nil && r.g != nil {
		for _, srv := range r.servers {
			out = append(out, srv.Clients()...)
		}
	}
	return out
}

// IDs are the groups that run, in order.
func (s *Groups) IDs() (ids []cdp.GroupID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.groups {
		if r.g != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func sameJob(a, b Job) bool {
	return a.Group == b.Group && a.Target == b.Target && a.VM == b.VM && a.Mode == b.Mode && slices.Equal(a.Disks, b.Disks) &&
		a.Frozen == b.Frozen && a.Every == b.Every && a.Verify == b.Verify &&
		slices.Equal(a.Listen, b.Listen)
}
