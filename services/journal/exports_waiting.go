package journal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/vault"
)

// waitingExport is an export that was open when the process ended and cannot be served
// now: its address is taken, say, or its scratch cannot be read. What was written to it
// is kept, and it is tried again until it is served or closed.
type waitingExport struct {
	req  api.OpenRequest
	view *vault.View // keeps horizon from passing its point; nil: the point is gone
	why  error
}

// wait notes that an export cannot be served. The caller holds mu, or is the only user.
func (x *exports) wait(req api.OpenRequest, why error) {
	w := x.waiting[req.ID]
	if w == nil {
		w = &waitingExport{req: req}
		w.view, _ = x.vault.View(req.Seq)
		x.waiting[req.ID] = w
	}
	w.why = cdp.Wrap(why, "open export", req.ID)
}

// serveWaiting tries to serve one that waits. The caller holds mu.
func (x *exports) serveWaiting(w *waitingExport) error {
	if err := x.serve(w.req); err != nil {
		x.wait(w.req, err)
		return w.why
	}
	delete(x.waiting, w.req.ID)
	return w.close()
}

// run tries until ctx ends to serve all that wait, and reports what cannot be served.
func (x *exports) run(ctx context.Context, every time.Duration) {
	var reported said
	for clock.Sleep(ctx, x.deps.Clock, every) == nil {
		x.mu.Lock()
		for _, w := range x.waiting {
			_ = x.serveWaiting(w) // it is noted
		}
		x.mu.Unlock()
		if err := x.trouble(); err != nil && reported.news(err, x.deps.Clock) {
			x.deps.Facts.Alarm(ctx, x.group, AlarmJournal, err.Error())
		}
	}
}

// served is why an export that should be open is not.
func (x *exports) served(id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if w := x.waiting[id]; w != nil {
		return x.serveWaiting(w)
	}
	return x.damaged[id]
}

func (w *waitingExport) close() error {
	if w.view == nil {
		return nil
	}
	return w.view.Close()
}

func (x *exports) describeWaiting(w *waitingExport) api.Export {
	out := api.Export{ID: w.req.ID, Group: x.group, Seq: w.req.Seq, Scratch: w.req.Scratch, Purpose: w.req.Purpose, Trouble: w.why.Error()}
	for _, d := range x.vault.DisksAt(w.req.Seq) {
		out.Disks = append(out.Disks, api.ExportDisk{Name: d.Name, Size: d.Size})
	}
	return out
}

// trouble is why exports that should be open are not.
func (x *exports) trouble() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var errs []error
	for _, w := range x.waiting {
		errs = append(errs, w.why)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// unserved is trouble with what to do about it; nil: there is none.
func (x *exports) unserved() *api.Trouble {
	err := x.trouble()
	if err == nil {
		return nil
	}
	return &api.Trouble{Text: err.Error(), Hint: "it is tried again by itself; or close the export, which discards what was written to it: tidemark export close " + string(x.group) + " ID"}
}
