package api

import "tidemark.dev/pkg/cdp"

// Endpoints of set-up, which alone makes, changes and removes streams and
// consumers. A caller names a group and numbers; the rest of a stream's
// configuration is set-up's.
const (
	FramesEnsure   = "frames-ensure"   // FramesRequest -> Empty: makes the group's stream and the target's consumer; sets the size of an existing one
	FramesRecreate = "frames-recreate" // FramesRequest -> Empty: replaces the stream by an empty one that begins with First
	FramesResize   = "frames-resize"   // FramesRequest -> Empty: sets the size; NotFound: there is no stream
	FramesPurge    = "frames-purge"    // FramesRequest -> Empty: removes the frames before First
	FramesDelete   = "frames-delete"   // FramesRequest -> Empty: removes the stream; none is no error
	FramesHas      = "frames-has"      // FramesRequest -> FramesReply: can frame First be read
)

// FramesRequest is about the frame stream of a group that is captured at the site.
type FramesRequest struct {
	Group cdp.GroupID `json:"group"`
	// Target is where the group's journal is: ensure and recreate.
	Target cdp.Site `json:"target,omitempty"`
	// MaxBytes is how many bytes the stream may hold: ensure, recreate and resize.
	MaxBytes int64 `json:"maxBytes,omitempty"`
	// First is a frame number: recreate, purge and has.
	First cdp.FrameNo `json:"first,omitempty"`
}

// FramesReply answers FramesHas.
type FramesReply struct {
	Has bool `json:"has"`
}
