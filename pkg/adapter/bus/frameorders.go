package bus

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// KeepSite makes, resizes and removes the streams of groups for the services of the
// connection's site, which may not do so themselves, until ctx ends, and mends what a
// site that is linked with peers must have. The connection is set-up's. Several processes
// may run it for one site.
//
// A stream's options could move messages anywhere, past all permissions. So nobody
// who asks here chooses more than a group, its target, and numbers.
func KeepSite(ctx context.Context, conn *Conn, peers ...cdp.Site) error {
	order := func(fn func(frameOrders, context.Context, api.FramesRequest) error) api.Endpoint {
		return api.Answer(func(ctx context.Context, r api.FramesRequest) (any, error) {
			if err := cdp.CheckName("group", string(r.Group)); err != nil {
				return nil, err
			}
			return api.Empty{}, wrap(fn(frameOrders{conn}, ctx, r), "keep frame stream", string(r.Group))
		})
	}
	return conn.Serve(ctx, subjects.Setup, map[string]api.Endpoint{
		api.BusApply: api.Answer(func(ctx context.Context, r api.BusApplyRequest) (any, error) {
			return conn.applyDeclared(ctx, peers, r)
		}),
		api.FramesEnsure: order(frameOrders.ensure), api.FramesRecreate: order(frameOrders.recreate), api.FramesResize: order(frameOrders.resize),
		api.FramesPurge: order(frameOrders.purge), api.FramesDelete: order(frameOrders.delete),
		api.FramesHas: api.Answer(func(ctx context.Context, r api.FramesRequest) (any, error) {
			has, err := frameOrders{conn}.has(ctx, r)
			return api.FramesReply{Has: has}, wrap(err, "read frame", string(r.Group))
		}),
	})
}

// frameOrders carries out what is asked of set-up.
type frameOrders struct{ conn *Conn }

func (o frameOrders) stream(ctx context.Context, r api.FramesRequest) (jetstream.Stream, error) {
	return o.conn.js.Stream(ctx, subjects.FrameStream(r.Group))
}

func (o frameOrders) ensure(ctx context.Context, r api.FramesRequest) error {
	if err := cdp.CheckName("target", string(r.Target)); err != nil {
		return err
	}
	str, err := o.stream(ctx, r)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		r.First = 1
		return o.create(ctx, r)
	}
	if err != nil {
		return err
	}
	if err := o.size(ctx, str, r.MaxBytes); err != nil {
		return err
	}
	if err := o.dismiss(ctx, str, r.Target); err != nil {
		return err
	}
	return o.consumer(ctx, r)
}

func (o frameOrders) resize(ctx context.Context, r api.FramesRequest) error {
	str, err := o.stream(ctx, r)
	if err != nil {
		return err
	}
	return o.size(ctx, str, r.MaxBytes)
}

// size changes how many bytes a stream may hold. One that holds more keeps them,
// and takes nothing new until they are purged.
func (o frameOrders) size(ctx context.Context, str jetstream.Stream, maxBytes int64) error {
	cfg := str.CachedInfo().Config
	if cfg.MaxBytes == maxBytes {
		return nil
	}
	cfg.MaxBytes = maxBytes
	_, err := o.conn.js.UpdateStream(ctx, cfg)
	return err
}

// dismiss removes the consumers of former targets, which may no longer take
// frames.
func (o frameOrders) dismiss(ctx context.Context, str jetstream.Stream, target cdp.Site) error {
	names := str.ConsumerNames(ctx)
	for name := range names.Name() {
		if strings.HasPrefix(name, subjects.FrameConsumer("")) && name != subjects.FrameConsumer(target) {
			if err := str.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return err
			}
		}
	}
	return names.Err()
}

func (o frameOrders) create(ctx context.Context, r api.FramesRequest) error {
	_, err := o.conn.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: subjects.FrameStream(r.Group), Subjects: []string{subjects.WriteSubject(o.conn.site, r.Group)}, Storage: jetstream.FileStorage,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxBytes: r.MaxBytes,
		MaxMsgSize: maxMessage, AllowDirect: true, FirstSeq: uint64(r.First),
		// A frame that was stored and is sent again within the wait for its
		// answer counts as a success.
		Duplicates:  2 * ackTimeout,
		Description: "frames of " + string(r.Group) + " on their way to the journal",
	})
	if err != nil {
		return err
	}
	return o.consumer(ctx, r)
}

// consumer makes the consumer that the journal at target is bound to. It keeps
// no cursor: the journal resets it to where it wants to go on.
func (o frameOrders) consumer(ctx context.Context, r api.FramesRequest) error {
	_, err := o.conn.js.CreateOrUpdateConsumer(ctx, subjects.FrameStream(r.Group), jetstream.ConsumerConfig{
		Durable: subjects.FrameConsumer(r.Target), FilterSubject: subjects.WriteSubject(o.conn.site, r.Group),
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	return err
}

func (o frameOrders) recreate(ctx context.Context, r api.FramesRequest) error {
	if err := cdp.CheckName("target", string(r.Target)); err != nil {
		return err
	}
	if r.First == 0 {
		return cdp.Errorf(cdp.Invalid, "recreate frame stream", string(r.Group), "the first frame cannot be 0")
	}
	str, err := o.stream(ctx, r)
	switch {
	case err == nil && str.CachedInfo().State.LastSeq+1 == uint64(r.First) && str.CachedInfo().State.Msgs == 0:
		return o.consumer(ctx, r)
	case err == nil:
		if err := o.delete(ctx, r); err != nil {
			return err
		}
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	return o.create(ctx, r)
}

func (o frameOrders) purge(ctx context.Context, r api.FramesRequest) error {
	req := struct {
		Sequence uint64 `json:"seq"`
	}{uint64(r.First)}
	if r.First == 0 { // which JetStream takes for everything
		return nil
	}
	return o.conn.ask(ctx, subjects.API+".STREAM.PURGE."+subjects.FrameStream(r.Group), req, nil)
}

func (o frameOrders) delete(ctx context.Context, r api.FramesRequest) error {
	err := o.conn.js.DeleteStream(ctx, subjects.FrameStream(r.Group))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

func (o frameOrders) has(ctx context.Context, r api.FramesRequest) (bool, error) {
	if err := cdp.CheckName("group", string(r.Group)); err != nil {
		return false, err
	}
	str, err := o.stream(ctx, r)
	if err != nil {
		return false, err
	}
	_, err = str.GetMsg(ctx, uint64(r.First))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}
