package main

import (
	"context"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/failover"
)

// journalAPI asks the journal service of a site. It is three ports of failover,
// and what the command line uses.
type journalAPI struct {
	conn *bus.Conn
	site cdp.Site
}

var (
	_ failover.Journal = journalAPI{}
	_ failover.Exports = journalAPI{}
	_ failover.Replica = journalAPI{}
)

// slow is how long a request may take that opens, closes or moves.
const slow = 20 * time.Second

func ask[R any](ctx context.Context, j journalAPI, endpoint string, in any) (r R, err error) {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, slow)
		defer cancel()
	}
	return r, j.conn.Request(ctx, j.site, subjects.Journal, endpoint, in, &r)
}

// Status of one group.
func (j journalAPI) Status(ctx context.Context, g cdp.GroupID) (api.GroupStatus, error) {
	r, err := ask[api.StatusReply](ctx, j, api.JournalStatus, api.GroupRequest{Group: g})
	if err != nil {
		return api.GroupStatus{}, err
	}
	for _, x := range r.Groups {
		if x.Group == g {
			return x, nil
		}
	}
	return api.GroupStatus{}, cdp.Errorf(cdp.NotFound, "ask journal", string(g), "it has no journal of this group").
		WithHint("has the job run, and has anything arrived? see: tidemark status " + string(g))
}

// Points are all of a group's points, page by page.
func (j journalAPI) Points(ctx context.Context, g cdp.GroupID) (api.PointsReply, error) {
	var all api.PointsReply
	for r := (api.PointsRequest{Group: g}); ; {
		page, err := ask[api.PointsReply](ctx, j, api.JournalPoints, r)
		if err != nil {
			return all, err
		}
		all.Bounds, all.Points = page.Bounds, append(all.Points, page.Points...)
		if !page.More {
			return all, nil
		}
		r.After = all.Points[len(all.Points)-1].Frame
	}
}

func (j journalAPI) Resolve(ctx context.Context, r api.ResolveRequest) (api.Resolved, error) {
	return ask[api.Resolved](ctx, j, api.JournalResolve, r)
}

func (j journalAPI) EditPoint(ctx context.Context, r api.EditPointRequest) (cdp.Point, error) {
	return ask[cdp.Point](ctx, j, api.JournalEditPoint, r)
}

func (j journalAPI) ListExports(ctx context.Context, g cdp.GroupID) (api.ExportsReply, error) {
	return ask[api.ExportsReply](ctx, j, api.JournalExports, api.GroupRequest{Group: g})
}

func (j journalAPI) Open(ctx context.Context, r api.OpenRequest) (api.Export, error) {
	return ask[api.Export](ctx, j, api.JournalOpen, r)
}

func (j journalAPI) Close(ctx context.Context, r api.CloseRequest) error {
	_, err := ask[api.Empty](ctx, j, api.JournalClose, r)
	return err
}

func (j journalAPI) Absorb(ctx context.Context, r api.CloseRequest) (api.MoveReply, error) {
	return ask[api.MoveReply](ctx, j, api.JournalAbsorb, r)
}

func (j journalAPI) Halt(ctx context.Context, r api.RunRequest) (cdp.Bounds, error) {
	return ask[cdp.Bounds](ctx, j, api.JournalHalt, r)
}

func (j journalAPI) Resume(ctx context.Context, r api.RunRequest) (cdp.Bounds, error) {
	return ask[cdp.Bounds](ctx, j, api.JournalResume, r)
}

func (j journalAPI) Move(ctx context.Context, r api.MoveRequest) (api.MoveReply, error) {
	return ask[api.MoveReply](ctx, j, api.JournalMoveBase, r)
}

func (j journalAPI) Seal(ctx context.Context, r api.RunRequest) (api.SealReply, error) {
	return ask[api.SealReply](ctx, j, api.JournalSeal, r)
}

func (j journalAPI) Release(ctx context.Context, r api.RunRequest) error {
	_, err := ask[api.Empty](ctx, j, api.JournalRelease, r)
	return err
}

func (j journalAPI) Fill(ctx context.Context, r api.FillRequest) (api.MoveReply, error) {
	return ask[api.MoveReply](ctx, j, api.JournalFill, r)
}

func (j journalAPI) FillStop(ctx context.Context, r api.RunRequest) error {
	_, err := ask[api.Empty](ctx, j, api.JournalFillStop, r)
	return err
}
