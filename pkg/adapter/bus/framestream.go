package bus

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// frameStream is a group's stream, as the site where it is captured asks set-up
// for it.
type frameStream struct {
	conn   *Conn
	group  cdp.GroupID
	target cdp.Site
	room   room
}

// room gives a stream its size: it calls set with the most bytes that the stream
// may hold, and keeps that size reserved if set succeeds.
type room func(ctx context.Context, set func(ctx context.Context, maxBytes int64) error) error

// fixed is the room of a stream that shares with no other.
func fixed(maxBytes int64) room {
	return func(ctx context.Context, set func(context.Context, int64) error) error { return set(ctx, maxBytes) }
}

func (f frameStream) name() string { return subjects.FrameStream(f.group) }

func (f frameStream) ask(ctx context.Context, endpoint string, r api.FramesRequest, out any) error {
	r.Group = f.group
	return f.conn.Request(ctx, f.conn.site, subjects.Setup, endpoint, r, out)
}

// ensure makes the stream, or sets the bound of the one that exists, and makes
// the target's consumer.
func (f frameStream) ensure(ctx context.Context) error {
	return f.room(ctx, func(ctx context.Context, maxBytes int64) error {
		return f.ask(ctx, api.FramesEnsure, api.FramesRequest{Target: f.target, MaxBytes: maxBytes}, nil)
	})
}

// recreate replaces the stream by one that begins with first. An empty stream
// whose next frame is first already is kept.
func (f frameStream) recreate(ctx context.Context, first cdp.FrameNo) error {
	return f.room(ctx, func(ctx context.Context, maxBytes int64) error {
		return f.ask(ctx, api.FramesRecreate, api.FramesRequest{Target: f.target, MaxBytes: maxBytes, First: first}, nil)
	})
}

// resize changes how many bytes the stream may hold.
func (f frameStream) resize(ctx context.Context, maxBytes int64) error {
	return f.ask(ctx, api.FramesResize, api.FramesRequest{MaxBytes: maxBytes}, nil)
}

// purge removes the frames before no; no itself is kept.
func (f frameStream) purge(ctx context.Context, no cdp.FrameNo) error {
	return f.ask(ctx, api.FramesPurge, api.FramesRequest{First: no}, nil)
}

// has reports whether frame no can be read.
func (f frameStream) has(ctx context.Context, no cdp.FrameNo) (bool, error) {
	var r api.FramesReply
	err := f.ask(ctx, api.FramesHas, api.FramesRequest{First: no}, &r)
	return r.Has, err
}

// DeleteFrames removes the group's stream with all its frames, after its job was deleted.
func DeleteFrames(ctx context.Context, conn *Conn, group cdp.GroupID) error {
	return wrap(frameStream{conn: conn, group: group}.ask(ctx, api.FramesDelete, api.FramesRequest{}, nil), "delete frame stream", string(group))
}
