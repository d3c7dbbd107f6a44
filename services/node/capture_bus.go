package node

import (
	"context"
	"crypto/sha256"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/services/capture"
)

// frameStreams is capture.Streams.
type frameStreams struct{ *bus.Spool }

func (s frameStreams) Open(ctx context.Context, g cdp.GroupID, target cdp.Site) (capture.Stream, error) {
	sink, err := s.Frames(ctx, g, target)
	if err != nil {
		return nil, err
	}
	return frameStream{sink}, nil
}

// frameStream is capture.TracedStream.
type frameStream struct{ *bus.FrameSink }

var _ capture.TracedStream = frameStream{}

// Tail makes a stream that was lost while it was in use anew, and empty. Capture
// then finds that it lacks what the journal has, and lets it begin there.
func (s frameStream) Tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error) {
	no, last, err := s.FrameSink.Tail(ctx)
	if cdp.Is(err, cdp.NotFound) {
		return 0, nil, s.Recreate(ctx, 1)
	}
	return no, last, err
}

// journals is capture.Journal and capture.Sums.
type journals struct{ conn *bus.Conn }

func (j journals) Cursor(ctx context.Context, target cdp.Site, g cdp.GroupID) (admission.State, error) {
	var c api.Cursor
	if err := j.conn.Request(ctx, target, subjects.Journal, api.JournalCursor, api.GroupRequest{Group: g}, &c); err != nil {
		// Whatever the reason, the journal cannot be asked now.
		return admission.State{}, &cdp.Error{Op: "ask journal", Kind: cdp.Transient, Subject: string(g), Cause: err}
	}
	s := admission.State{Epoch: c.Epoch, No: c.Frame, Head: c.Head}
	copy(s.Hash[:], c.Hash)
	return s, nil
}

func (j journals) Sums(ctx context.Context, target cdp.Site, g cdp.GroupID, disk cdp.DiskID, off, n int64, block int) ([][32]byte, error) {
	out := make([][32]byte, 0, (n+int64(block)-1)/int64(block))
	for most := int64(api.SumsMax / block * block); n > 0; off, n = off+most, n-most {
		var a api.SumsReply
		err := j.conn.Request(ctx, target, subjects.Journal, api.JournalSums, api.SumsRequest{Group: g, Disk: disk, Off: off, N: min(n, most), Block: int64(block)}, &a)
		if err != nil {
			return nil, err
		}
		if len(a.Sums)%sha256.Size != 0 {
			return nil, cdp.Errorf(cdp.Corrupt, "ask for checksums", string(g), "the answer has %d bytes, which is no multiple of %d", len(a.Sums), sha256.Size)
		}
		for x := a.Sums; len(x) > 0; x = x[sha256.Size:] {
			out = append(out, [32]byte(x))
		}
	}
	return out, nil
}
