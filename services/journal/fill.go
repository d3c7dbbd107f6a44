package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/durable"
	"tidemark.dev/pkg/engine/vault"
)

// filler writes a group's disks, as they were at one seq, onto other images; one
// fill at a time. A fill has a record from the first request until it is stopped:
// after a restart its view keeps horizon from passing again, and the next request
// starts the copy from the beginning. A fill that is done stays done.
type filler struct {
	path  string // of the record
	vault *vault.Group
	own   []string // the group's own images
	open  func(disks []cdp.Disk, paths []string) (Replica, error)
	// damaged is why the record could not be read; the next request begins anew.
	damaged error

	mu  sync.Mutex
	now *filling // nil: none
}

// fillRecord is what is kept of a fill.
type fillRecord struct {
	api.FillRequest
	Done bool `json:"done,omitempty"`
}

// filling is a fill that is being copied, or waits for the next request.
type filling struct {
	fillRecord
	view   *vault.View // keeps the seq; nil once it is done
	cancel context.CancelFunc
	ended  chan struct{} // nil: no copy is running
	err    error         // set before ended is closed
	moved  atomic.Int64
}

func openFiller(cfg Config, deps Deps, spec GroupSpec, v *vault.Group) (*filler, error) {
	f := &filler{path: filepath.Join(cfg.Dir, string(spec.Group)+".fill"), vault: v, own: spec.Paths,
		open: func(disks []cdp.Disk, paths []string) (Replica, error) {
			return deps.Replicas.Open(disks, paths, false)
		}}
	record, err := durable.ReadRecord[fillRecord](f.path)
	if cdp.Is(err, cdp.Corrupt) {
		aside, failed := durable.SetAside(f.path)
		f.damaged = &cdp.Error{Op: "open fill", Kind: cdp.Corrupt, Subject: aside, Cause: err}
		return f, cdp.Wrap(failed, "set aside", f.path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, &cdp.Error{Op: "open fill", Kind: cdp.Transient, Subject: f.path, Cause: err}
	}
	x := &filling{fillRecord: record}
	if !x.Done {
		if x.view, err = v.View(x.Seq); err != nil {
			return nil, cdp.Wrap(err, "open fill", x.Run)
		}
	}
	f.now = x
	return f, nil
}

// fill begins a fill or reports how far it is. An error is reported once; the next
// request starts the copy again.
func (f *filler) fill(req api.FillRequest) (api.MoveReply, error) {
	const op = "fill disks"
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		if err := f.begin(req); err != nil {
			return api.MoveReply{}, cdp.Wrap(err, op, req.Run)
		}
	}
	x := f.now
	if x.Run != req.Run || x.Seq != req.Seq || len(req.Paths) > 0 && len(x.Paths) > 0 && !slices.Equal(x.Paths, req.Paths) {
		return api.MoveReply{}, cdp.Errorf(cdp.Conflict, op, req.Run, "the run %s already fills disks with write %d: stop that fill first", x.Run, x.Seq)
	}
	reply := api.MoveReply{Bounds: f.vault.Bounds()}
	for _, d := range f.disks(x.FillRequest) {
		reply.Total += d.Size
	}
	switch {
	case len(req.Paths) == 0 && !x.Done:
		return reply, nil // the seq is kept
	case len(x.Paths) == 0:
		if err := f.take(x, req); err != nil {
			return api.MoveReply{}, cdp.Wrap(err, op, req.Run)
		}
	}
	if x.Done {
		reply.Done, reply.Moved = true, reply.Total
		return reply, nil
	}
	if x.ended == nil {
		return reply, cdp.Wrap(f.start(x), op, req.Run)
	}
	select {
	case <-x.ended:
	default:
		reply.Moved = x.moved.Load()
		return reply, nil
	}
	x.ended = nil
	if x.err != nil {
		return api.MoveReply{}, cdp.Wrap(x.err, op, req.Run)
	}
	if err := f.finish(x); err != nil {
		return api.MoveReply{}, cdp.Wrap(err, op, req.Run)
	}
	reply.Done, reply.Moved = true, reply.Total
	return reply, nil
}

// disks are those that a request fills, as they were at its seq.
func (f *filler) disks(req api.FillRequest) []cdp.Disk {
	all := f.vault.DisksAt(req.Seq)
	if len(req.Disks) == 0 {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(d cdp.Disk) bool { return !slices.Contains(req.Disks, d.ID) })
}

// begin records a new fill: from here on its seq is kept.
func (f *filler) begin(req api.FillRequest) error {
	if len(req.Paths) > 0 {
		if err := f.check(req); err != nil {
			return err
		}
	}
	v, err := f.vault.View(req.Seq)
	if err != nil {
		return err
	}
	x := &filling{fillRecord: fillRecord{FillRequest: req}, view: v}
	if err := f.record(x.fillRecord); err != nil {
		return errors.Join(err, v.Close())
	}
	f.now = x
	return nil
}

// take records the disks of a fill that has only kept its seq so far.
func (f *filler) take(x *filling, req api.FillRequest) error {
	if err := f.check(req); err != nil {
		return err
	}
	r := x.fillRecord
	r.Paths, r.Disks = req.Paths, req.Disks
	if err := f.record(r); err != nil {
		return err
	}
	x.fillRecord = r
	return nil
}

// check refuses paths that must be a mistake: the replica's own, and doubles.
func (f *filler) check(req api.FillRequest) error {
	const op = "check paths"
	if n := len(f.disks(req)); len(req.Paths) != n || len(req.Disks) > 0 && len(req.Disks) != n || !slices.IsSorted(req.Disks) {
		return cdp.Errorf(cdp.Invalid, op, "paths", "%d paths for %d disks", len(req.Paths), n)
	}
	for i, p := range req.Paths {
		st, err := os.Stat(p)
		if err != nil {
			continue // start reports it
		}
		for _, other := range append(slices.Clone(f.own), req.Paths[:i]...) {
			if o, err := os.Stat(other); err == nil && os.SameFile(st, o) {
				return cdp.Errorf(cdp.Invalid, op, p, "it is the same file as %s", other)
			}
		}
	}
	return nil
}

// record makes the record durable.
func (f *filler) record(r fillRecord) error {
	err := os.MkdirAll(filepath.Dir(f.path), 0o700)
	if err == nil {
		err = durable.WriteRecord(f.path, r)
	}
	if err != nil {
		return &cdp.Error{Op: "record fill", Kind: cdp.Transient, Subject: f.path, Cause: err}
	}
	return nil
}

// start starts the copy. Images that do not exist yet are Transient.
func (f *filler) start(x *filling) error {
	disks := f.disks(x.FillRequest)
	to, err := f.open(disks, x.Paths)
	if cdp.Is(err, cdp.NotFound) {
		return &cdp.Error{Op: "open disks", Kind: cdp.Transient, Subject: x.Run, Cause: err}
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel, x.ended = cancel, make(chan struct{})
	x.moved.Store(0)
	go func(ended chan struct{}) {
		defer close(ended)
		defer cancel()
		x.err = x.copy(ctx, disks, to)
		if err := to.Close(); x.err == nil && err != nil {
			x.err = &cdp.Error{Op: "close disks", Kind: cdp.Transient, Subject: x.Run, Cause: err}
		}
	}(x.ended)
	return nil
}

// finish records that a fill is done, and releases its seq.
func (f *filler) finish(x *filling) error {
	done := x.fillRecord
	done.Done = true
	if err := f.record(done); err != nil {
		return err
	}
	x.fillRecord = done
	err := x.view.Close()
	x.view = nil
	return err
}

// stop ends the run's fill and forgets it; with an empty run, any run's. There may
// be none.
func (f *filler) stop(run string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil || run != "" && f.now.Run != run {
		return nil
	}
	if err := durable.RemoveRecord(f.path); err != nil {
		return &cdp.Error{Op: "stop fill", Kind: cdp.Transient, Subject: run, Cause: err}
	}
	return f.halt()
}

// busy reports whether a run keeps a seq or fills disks.
func (f *filler) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now != nil && !f.now.Done
}

// close ends the copy; the record stays.
func (f *filler) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.halt()
}

// halt ends the copy and releases the seq.
func (f *filler) halt() error {
	x := f.now
	f.now = nil
	if x == nil {
		return nil
	}
	if x.ended != nil {
		x.cancel()
		<-x.ended
	}
	if x.view == nil {
		return nil
	}
	return x.view.Close()
}
