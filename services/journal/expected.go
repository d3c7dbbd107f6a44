package journal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/durable"
	"tidemark.dev/pkg/engine/vault"
)

// expected are the tags and pins of points that commands have asked for, and that have
// not come yet. They are kept here, so that a point has them whatever becomes of the
// one who asked.
type expected struct {
	path  string
	deps  Deps
	group cdp.GroupID
	vault *vault.Group

	mu   sync.Mutex
	list []expectedPoint // oldest first
}

type expectedPoint struct {
	api.ExpectRequest
	Asked time.Time `json:"asked"`
}

// An expectation ends after a day, and a group has so many at once.
const (
	expectFor = 24 * time.Hour
	expectMax = 256
)

// openExpected reads what is expected, and gives points that came meanwhile what is
// theirs. A damaged file costs tags, and no point.
func openExpected(ctx context.Context, cfg Config, deps Deps, id cdp.GroupID, v *vault.Group) (*expected, error) {
	x := &expected{path: filepath.Join(cfg.Dir, string(id)+".expected"), deps: deps, group: id, vault: v}
	list, err := durable.ReadRecord[[]expectedPoint](x.path)
	switch {
	case cdp.Is(err, cdp.Corrupt):
		if _, err = durable.SetAside(x.path); err != nil {
			return nil, cdp.Wrap(err, "set aside", x.path)
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, &cdp.Error{Op: "read expected points", Kind: cdp.Transient, Subject: x.path, Cause: err}
	}
	x.list = list
	lost, _ := deps.Stores.Losses(id) // why they cannot be read is reported with the losses
	x.again(lost)
	for _, p := range v.Points() {
		x.give(ctx, p)
	}
	return x, nil
}

// again expects points that were lost: if the source still has their frames and sends
// them again, they get back the tags and pins that they had. Where that cannot be kept the
// journal opens all the same.
func (x *expected) again(lost []cdp.Loss) {
	list, points := slices.Clone(x.list), x.vault.Points()
	for _, l := range lost {
		for _, p := range l.Points {
			here := slices.ContainsFunc(points, func(is cdp.Point) bool { return is.Request == p.Request }) ||
				slices.ContainsFunc(list, func(e expectedPoint) bool { return e.Request == p.Request })
			if p.Request != 0 && !here && (len(p.Tags) > 0 || p.Pinned) && len(list) < expectMax {
				list = append(list, expectedPoint{api.ExpectRequest{Group: x.group, Request: p.Request, Tags: p.Tags, Pinned: p.Pinned}, x.deps.Clock.Now()})
			}
		}
	}
	if len(list) > len(x.list) {
		_ = x.keep(list)
	}
}

// expect handles api.JournalExpect.
func (x *expected) expect(ctx context.Context, r api.ExpectRequest) error {
	const op = "expect point"
	if err := cdp.CheckTags(r.Tags); err != nil {
		return err
	}
	if r.Request == 0 {
		return cdp.Errorf(cdp.Invalid, op, string(x.group), "it names no command")
	}
	x.mu.Lock()
	now := x.deps.Clock.Now()
	list := slices.DeleteFunc(slices.Clone(x.list), func(e expectedPoint) bool {
		return e.Request == r.Request || now.Sub(e.Asked) > expectFor
	})
	if len(list) >= expectMax {
		x.mu.Unlock()
		return cdp.Errorf(cdp.Full, op, string(x.group), "%d points that were asked for have not come yet", len(list)).
			WithHint("is the target behind? see: tidemark status " + string(x.group))
	}
	err := x.keep(append(list, expectedPoint{r, now}))
	x.mu.Unlock()
	if err != nil {
		return cdp.Wrap(err, op, string(x.group))
	}
	for _, p := range x.vault.Points() { // it may be here already
		x.give(ctx, p)
	}
	return nil
}

// give gives a point that was stored what was asked for it, and returns it as it is
// then. If that fails it is done at the next start.
func (x *expected) give(ctx context.Context, p cdp.Point) cdp.Point {
	if p.Request == 0 {
		return p
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	i := slices.IndexFunc(x.list, func(e expectedPoint) bool { return e.Request == p.Request })
	if i < 0 {
		return p
	}
	r := api.EditPointRequest{AddTags: x.list[i].Tags}
	if x.list[i].Pinned {
		r.Pinned = &x.list[i].Pinned
	}
	is, err := x.vault.EditPoint(p.Frame, func(p *cdp.Point) error { return edited(p, r, p.Ran) })
	if err != nil {
		return p
	}
	x.deps.Facts.PointChanged(ctx, x.group, is, event.PointTagged)
	_ = x.keep(slices.Delete(slices.Clone(x.list), i, i+1)) // given twice is given once
	return is
}

// keep stores a list. Call it with mu held.
func (x *expected) keep(list []expectedPoint) error {
	err := os.MkdirAll(filepath.Dir(x.path), 0o700)
	if err == nil {
		err = durable.WriteRecord(x.path, list)
	}
	if err != nil {
		return &cdp.Error{Op: "keep expected points", Kind: cdp.Transient, Subject: x.path, Cause: err}
	}
	x.list = list
	return nil
}

// drop forgets all, with the group.
func (x *expected) drop() error { return durable.RemoveRecord(x.path) }
