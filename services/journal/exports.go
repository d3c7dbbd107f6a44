package journal

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/pkg/engine/durable"
	"tidemark.dev/pkg/engine/overlay"
	"tidemark.dev/pkg/engine/vault"
)

// exports are the open exports of a group. Each has a folder with its record, so
// that it is served again after a restart, at the same address, with what was
// written to it. Its view keeps horizon from passing from the moment the journal
// opens.
type exports struct {
	dir   string
	deps  Deps
	group cdp.GroupID
	vault *vault.Group

	mu   sync.Mutex
	open map[string]*export
	// damaged are exports whose record cannot be read: what was written to them is
	// kept until they are closed, and their names are not used meanwhile.
	damaged map[string]error
	// waiting are those that cannot be served now.
	waiting map[string]*waitingExport
}

type export struct {
	req    api.OpenRequest
	view   *vault.View
	disks  []block.Device
	server DiskServer
	budget *overlay.Budget // of the scratch; nil: no limit
}

const recordName = "export.json"

func openExports(cfg Config, deps Deps, id cdp.GroupID, v *vault.Group) (*exports, error) {
	x := &exports{dir: filepath.Join(cfg.Dir, string(id)), deps: deps, group: id, vault: v, open: map[string]*export{},
		damaged: map[string]error{}, waiting: map[string]*waitingExport{}}
	entries, err := os.ReadDir(x.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, &cdp.Error{Op: "open exports", Kind: cdp.Transient, Subject: x.dir, Cause: err}
	}
	for _, e := range entries {
		req, err := durable.ReadRecord[api.OpenRequest](filepath.Join(x.dir, e.Name(), recordName))
		if errors.Is(err, os.ErrNotExist) {
			// Being opened or closed when the process ended: nobody knows of it.
			if err := os.RemoveAll(filepath.Join(x.dir, e.Name())); err != nil {
				return nil, err
			}
			continue
		}
		if cdp.Is(err, cdp.Corrupt) {
			x.damaged[e.Name()] = (&cdp.Error{Op: "open export", Kind: cdp.Corrupt, Subject: e.Name(), Cause: err}).
				WithHint("what was written to it is kept; close the export to discard that, or undo the failover that it belongs to")
			continue
		}
		if err != nil {
			return nil, err
		}
		if v.State().Sealed && req.Purpose == api.ForExport {
			if err := x.closeView(req.ID); err != nil { // see closeOthers
				return nil, err
			}
			continue
		}
		if err := x.serve(req); err != nil {
			x.wait(req, err)
		}
	}
	return x, nil
}

// openView opens an export; one that is open already is returned.
func (x *exports) openView(req api.OpenRequest) (api.Export, error) {
	const op = "open export"
	if err := cdp.CheckName("id", req.ID); err != nil {
		return api.Export{}, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.damaged[req.ID]; err != nil {
		return api.Export{}, err
	}
	if e := x.open[req.ID]; e != nil {
		if !e.req.Same(req) {
			return api.Export{}, cdp.Errorf(cdp.Conflict, op, req.ID, "an export of this name is open, at write %d for %s", e.req.Seq, e.req.Purpose)
		}
		return x.describe(e), nil
	}
	if w := x.waiting[req.ID]; w != nil {
		if !w.req.Same(req) {
			return api.Export{}, cdp.Errorf(cdp.Conflict, op, req.ID, "an export of this name waits to be served, at write %d for %s", w.req.Seq, w.req.Purpose)
		}
		if err := x.serveWaiting(w); err != nil {
			return api.Export{}, err
		}
		return x.describe(x.open[req.ID]), nil
	}
	dir := filepath.Join(x.dir, req.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return api.Export{}, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: req.ID, Cause: err}
	}
	if err := x.serve(req); err != nil {
		os.RemoveAll(dir)
		return api.Export{}, cdp.Wrap(err, op, req.ID)
	}
	if err := durable.WriteRecord(filepath.Join(dir, recordName), req); err != nil {
		e := x.open[req.ID]
		delete(x.open, req.ID)
		return api.Export{}, errors.Join(&cdp.Error{Op: op, Kind: cdp.Transient, Subject: req.ID, Cause: err}, e.close(), os.RemoveAll(dir))
	}
	return x.describe(x.open[req.ID]), nil
}

// serve makes an export's view, layers and server.
func (x *exports) serve(req api.OpenRequest) (err error) {
	e := &export{req: req}
	if e.view, err = x.vault.View(req.Seq); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.closeDisks())
		}
	}()
	dir := filepath.Join(x.dir, req.ID)
	var served []ServedDisk
	if req.Limit > 0 {
		e.budget = overlay.NewBudget(req.Limit)
	}
	for _, d := range e.view.Disks() {
		var b block.Device = viewDisk{e.view, d.ID}
		if req.Scratch {
			o, err := overlay.Open(dir, d.Name, viewDisk{e.view, d.ID}, x.deps.OpenScratch)
			if err != nil {
				return err
			}
			if b = o; e.budget != nil {
				o.Within(e.budget)
			}
		}
		e.disks = append(e.disks, b)
		served = append(served, ServedDisk{Group: x.group, Name: d.Name, Device: b, ReadOnly: !req.Scratch,
			Description: fmt.Sprintf("%s of group %s at write %d", d.Name, x.group, req.Seq)})
	}
	addr := req.Listen
	if addr == "" {
		addr = spec.SocketPath(filepath.Dir(x.dir), filepath.Join(string(x.group), req.ID, "nbd.sock"))
	}
	if e.server, err = x.deps.Servers.Serve(addr, served); err != nil {
		return cdp.Wrap(err, "serve export", req.ID)
	}
	x.open[req.ID] = e
	return nil
}

func (x *exports) describe(e *export) api.Export {
	out := api.Export{ID: e.req.ID, Group: x.group, Seq: e.req.Seq, Scratch: e.req.Scratch, Purpose: e.req.Purpose, Clients: e.server.Clients()}
	if e.budget != nil {
		out.Limit, out.Taken = e.req.Limit, e.budget.Taken()
	}
	for i, d := range e.view.Disks() {
		ed := api.ExportDisk{Name: d.Name, Size: d.Size, URI: e.server.URI(d.Name)}
		if o, ok := e.disks[i].(*overlay.Disk); ok {
			ed.Written, ed.Writes = o.Written(), o.Writes()
		}
		out.Disks = append(out.Disks, ed)
	}
	return out
}

// list describes the open exports.
func (x *exports) list() []api.Export {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []api.Export
	for _, e := range x.open {
		out = append(out, x.describe(e))
	}
	for _, w := range x.waiting {
		out = append(out, x.describeWaiting(w))
	}
	return out
}

// serveRuns reports whether an export belongs to a failover run.
func (x *exports) serveRuns() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.open {
		if e.req.Purpose != api.ForExport {
			return true
		}
	}
	for _, w := range x.waiting {
		if w.req.Purpose != api.ForExport {
			return true
		}
	}
	return false
}

// closeView closes an export and deletes its scratch. An export that is not open
// is no error.
func (x *exports) closeView(id string) error {
	if err := cdp.CheckName("id", id); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var err error
	if e := x.open[id]; e != nil {
		delete(x.open, id)
		err = e.close()
	}
	if w := x.waiting[id]; w != nil {
		delete(x.waiting, id)
		err = w.close()
	}
	// The record goes first: without it the rest is deleted at the next start.
	dir := filepath.Join(x.dir, id)
	err = errors.Join(err, durable.RemoveRecord(filepath.Join(dir, recordName)), os.RemoveAll(dir))
	if err == nil {
		delete(x.damaged, id)
	}
	return err
}

// closeOthers closes all exports but one: what they show is about to be overwritten.
func (x *exports) closeOthers(but string) error {
	x.mu.Lock()
	ids := slices.Concat(slices.Collect(maps.Keys(x.open)), slices.Collect(maps.Keys(x.damaged)), slices.Collect(maps.Keys(x.waiting)))
	x.mu.Unlock()
	var errs []error
	for _, id := range ids {
		if id != but {
			errs = append(errs, x.closeView(id))
		}
	}
	return errors.Join(errs...)
}

// absorb writes an export's scratch into the replica. The replica must be at the
// export's seq, and the journal sealed. Clients are disconnected first: what was
// answered to them is all there, and no more comes.
func (x *exports) absorb(id string, r vault.Replica) error {
	if err := x.served(id); err != nil {
		return err
	}
	x.mu.Lock()
	e := x.open[id]
	x.mu.Unlock()
	if e == nil {
		return nil // it was absorbed and closed before
	}
	if err := e.server.Close(); err != nil {
		return err
	}
	for i, b := range e.disks {
		if o, ok := b.(*overlay.Disk); ok {
			if err := o.Each(func(p []byte, off int64) error { return r.WriteAt(cdp.DiskID(i), p, off) }); err != nil {
				return err
			}
		}
	}
	return r.Sync()
}

// damage names the exports whose record is damaged.
func (x *exports) damage() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(x.damaged)) {
		errs = append(errs, x.damaged[id])
	}
	return errors.Join(errs...)
}

func (x *exports) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var errs []error
	for id, e := range x.open {
		errs = append(errs, e.close())
		delete(x.open, id)
	}
	for id, w := range x.waiting {
		errs = append(errs, w.close())
		delete(x.waiting, id)
	}
	return errors.Join(errs...)
}

func (e *export) close() error {
	return errors.Join(e.server.Close(), e.closeDisks())
}

func (e *export) closeDisks() error {
	var errs []error
	for _, b := range e.disks {
		if o, ok := b.(*overlay.Disk); ok {
			errs = append(errs, o.Flush(), o.Close())
		}
	}
	return errors.Join(append(errs, e.view.Close())...)
}
