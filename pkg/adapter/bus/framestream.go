package bus

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// frameStream is a group's stream at the site where it is captured.
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

// ensure makes the stream, or sets the bound of the one that exists, and makes
// the target's consumer.
func (f frameStream) ensure(ctx context.Context) error {
	js := f.conn.js
	str, err := js.Stream(ctx, f.name())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return f.create(ctx, 1)
	}
	if err != nil {
		return err
	}
	err = f.room(ctx, func(ctx context.Context, maxBytes int64) error {
		return resize(ctx, js, str.CachedInfo().Config, maxBytes)
	})
	if err != nil {
		return err
	}
	if err := f.dismiss(ctx, str); err != nil {
		return err
	}
	return f.consumer(ctx)
}

// resize changes how many bytes a stream may hold. One that holds more keeps them,
// and takes nothing new until they are purged.
func resize(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig, maxBytes int64) error {
	if cfg.MaxBytes == maxBytes {
		return nil
	}
	cfg.MaxBytes = maxBytes
	_, err := js.UpdateStream(ctx, cfg)
	return err
}

// dismiss removes the consumers of former targets, which may no longer take
// frames.
func (f frameStream) dismiss(ctx context.Context, str jetstream.Stream) error {
	names := str.ConsumerNames(ctx)
	for name := range names.Name() {
		if strings.HasPrefix(name, subjects.FrameConsumer("")) && name != subjects.FrameConsumer(f.target) {
			if err := str.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return err
			}
		}
	}
	return names.Err()
}

func (f frameStream) create(ctx context.Context, first cdp.FrameNo) error {
	err := f.room(ctx, func(ctx context.Context, maxBytes int64) error {
		_, err := f.conn.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: f.name(), Subjects: []string{subjects.WriteSubject(f.conn.site, f.group)}, Storage: jetstream.FileStorage,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxBytes: maxBytes,
			MaxMsgSize: maxMessage, AllowDirect: true, FirstSeq: uint64(first),
			// A frame that was stored and is sent again within the wait for its
			// answer counts as a success.
			Duplicates:  2 * ackTimeout,
			Description: "frames of " + string(f.group) + " on their way to the journal",
		})
		return err
	})
	if err != nil {
		return err
	}
	return f.consumer(ctx)
}

// consumer makes the consumer that the journal at target is bound to. It keeps
// no cursor: the journal resets it to where it wants to go on. Its filter names
// the group's subject, so that the permission to make one reaches no other
// stream.
func (f frameStream) consumer(ctx context.Context) error {
	_, err := f.conn.js.CreateOrUpdateConsumer(ctx, f.name(), jetstream.ConsumerConfig{
		Durable: subjects.FrameConsumer(f.target), FilterSubject: subjects.WriteSubject(f.conn.site, f.group),
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	return err
}

// recreate replaces the stream by one that begins with first. An empty stream
// whose next frame is first already is kept.
func (f frameStream) recreate(ctx context.Context, first cdp.FrameNo) error {
	js := f.conn.js
	str, err := js.Stream(ctx, f.name())
	switch {
	case err == nil && str.CachedInfo().State.LastSeq+1 == uint64(first) && str.CachedInfo().State.Msgs == 0:
		return f.consumer(ctx)
	case err == nil:
		if err := js.DeleteStream(ctx, f.name()); err != nil {
			return err
		}
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	return f.create(ctx, first)
}

// purge removes the frames before no; no itself is kept.
func (f frameStream) purge(ctx context.Context, no cdp.FrameNo) error {
	req := struct {
		Sequence uint64 `json:"seq"`
	}{uint64(no)}
	return f.conn.ask(ctx, subjects.API+".STREAM.PURGE."+f.name(), req, nil)
}

// DeleteFrames removes the group's stream with all its frames, after its job was deleted.
func DeleteFrames(ctx context.Context, conn *Conn, group cdp.GroupID) error {
	err := conn.js.DeleteStream(ctx, subjects.FrameStream(group))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return wrap(err, "delete frame stream", string(group))
}

// purgeEvery is how often a stream is purged at most. A spool of MinSpool still
// takes 40 MB/s.
const purgeEvery = 100 * time.Millisecond

// purgeDurable purges durable frames from the stream until ctx ends. It keeps the
// newest durable frame, so that the tail can be read.
func (s *FrameSink) purgeDurable(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case no := <-s.purge:
			if err := s.purgeTo(ctx, no); err != nil && ctx.Err() == nil {
				s.conn.notify(Notice{"frames not purged", wrap(err, "purge frames", string(s.stream.group))})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(purgeEvery):
		}
	}
}

// purgeTo never purges beyond the newest frame that the stream is known to have:
// that would shift its numbering.
func (s *FrameSink) purgeTo(ctx context.Context, no cdp.FrameNo) error {
	s.streamMu.Lock()
	defer s.streamMu.Unlock()
	s.mu.Lock()
	no = min(no, s.last)
	s.mu.Unlock()
	if no <= 1 || no == s.purged {
		return nil
	}
	if err := s.stream.purge(ctx, no); err != nil {
		return err
	}
	s.purged = no
	return nil
}
