package client

import (
	"context"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// Journal asks the journal service of a site.
type Journal struct {
	conn *bus.Conn
	site cdp.Site
}

// Slow is how long a request may take that opens, closes or moves.
const Slow = 20 * time.Second

// NewJournal asks that of site.
func NewJournal(conn *bus.Conn, site cdp.Site) Journal { return Journal{conn, site} }

func ask[R any](ctx context.Context, j Journal, endpoint string, in any) (r R, err error) {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, Slow)
		defer cancel()
	}
	return r, j.conn.Request(ctx, j.site, subjects.Journal, endpoint, in, &r)
}

// All is the status of all groups.
func (j Journal) All(ctx context.Context) (api.StatusReply, error) {
	return ask[api.StatusReply](ctx, j, api.JournalStatus, api.GroupRequest{})
}

// Status of one group.
func (j Journal) Status(ctx context.Context, g cdp.GroupID) (api.GroupStatus, error) {
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
func (j Journal) Points(ctx context.Context, g cdp.GroupID) (api.PointsReply, error) {
	var all api.PointsReply
	for r := (api.PointsRequest{Group: g}); ; {
		page, err := j.PointsPage(ctx, r)
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

// PointsPage is the points that one request asks for.
func (j Journal) PointsPage(ctx context.Context, r api.PointsRequest) (api.PointsReply, error) {
	return ask[api.PointsReply](ctx, j, api.JournalPoints, r)
}

func (j Journal) Resolve(ctx context.Context, r api.ResolveRequest) (api.Resolved, error) {
	return ask[api.Resolved](ctx, j, api.JournalResolve, r)
}

func (j Journal) EditPoint(ctx context.Context, r api.EditPointRequest) (cdp.Point, error) {
	return ask[cdp.Point](ctx, j, api.JournalEditPoint, r)
}

// Tested says on a point what came of a test of it.
func (j Journal) Tested(ctx context.Context, r api.PointTestedRequest) (cdp.Point, error) {
	return ask[cdp.Point](ctx, j, api.JournalTested, r)
}

// Expect says what the point of a command gets when it comes.
func (j Journal) Expect(ctx context.Context, r api.ExpectRequest) error {
	_, err := ask[api.Empty](ctx, j, api.JournalExpect, r)
	return err
}

func (j Journal) ListExports(ctx context.Context, g cdp.GroupID) (api.ExportsReply, error) {
	return ask[api.ExportsReply](ctx, j, api.JournalExports, api.GroupRequest{Group: g})
}

func (j Journal) Open(ctx context.Context, r api.OpenRequest) (api.Export, error) {
	return ask[api.Export](ctx, j, api.JournalOpen, r)
}

func (j Journal) Close(ctx context.Context, r api.CloseRequest) error {
	_, err := ask[api.Empty](ctx, j, api.JournalClose, r)
	return err
}

func (j Journal) Absorb(ctx context.Context, r api.CloseRequest) (api.MoveReply, error) {
	return ask[api.MoveReply](ctx, j, api.JournalAbsorb, r)
}

func (j Journal) Halt(ctx context.Context, r api.RunRequest) (cdp.Bounds, error) {
	return ask[cdp.Bounds](ctx, j, api.JournalHalt, r)
}

func (j Journal) Resume(ctx context.Context, r api.RunRequest) (cdp.Bounds, error) {
	return ask[cdp.Bounds](ctx, j, api.JournalResume, r)
}

func (j Journal) Move(ctx context.Context, r api.MoveRequest) (api.MoveReply, error) {
	return ask[api.MoveReply](ctx, j, api.JournalMoveBase, r)
}

func (j Journal) Seal(ctx context.Context, r api.RunRequest) (api.SealReply, error) {
	return ask[api.SealReply](ctx, j, api.JournalSeal, r)
}

func (j Journal) Release(ctx context.Context, r api.RunRequest) error {
	_, err := ask[api.Empty](ctx, j, api.JournalRelease, r)
	return err
}

func (j Journal) Fill(ctx context.Context, r api.FillRequest) (api.MoveReply, error) {
	return ask[api.MoveReply](ctx, j, api.JournalFill, r)
}

func (j Journal) FillStop(ctx context.Context, r api.RunRequest) error {
	_, err := ask[api.Empty](ctx, j, api.JournalFillStop, r)
	return err
}
