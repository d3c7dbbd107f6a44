package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
)

// How much a peer can make grow here: its copies. A peer that obeys its own limits
// stays below these, which leave room for what the copying adds to a message. One that
// does not loses its oldest values here, and nobody else's.
const (
	copyBytes  = bucketBytes + bucketBytes/2
	copyValues = 1 << 18 // each costs memory by its key, however small it is
	copyEvents = 1 << 22
)

// copied are the streams of a site that its peers copy.
var copied = []string{subjects.StreamEvents, subjects.StreamAudit, "KV_" + subjects.BucketSpec, "KV_" + subjects.BucketState}

// EnsurePeer makes what this site and a peer copy from each other: here the
// consumers through which the peer copies, and the local copies of the peer's
// events, records and buckets. The peer need not be reachable: FollowPeer fills the
// copies when it is. EnsureSite comes first.
func EnsurePeer(ctx context.Context, conn *Conn, peer cdp.Site) error {
	if err := cdp.CheckName("peer", string(peer)); err != nil {
		return err
	}
	if peer == conn.site {
		return cdp.Errorf(cdp.Invalid, "join peer", string(peer), "a site cannot be its own peer")
	}
	for _, stream := range copied {
		if err := conn.ensureConsumer(ctx, declaredConsumer{stream, copyConfig(conn.site, peer, stream)}); err != nil {
			return err
		}
	}
	return conn.ensure(ctx, peerStreams(conn.site, peer))
}

// copyConfig is the consumer that pushes a stream of this site to the copy at the peer.
// The server prescribes its form: acknowledged by flow control, with a heartbeat each
// second.
func copyConfig(site, peer cdp.Site, stream string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: subjects.CopyConsumer(site, peer), DeliverSubject: subjects.CopySubject(site, peer, stream),
		AckPolicy: jetstream.AckFlowControlPolicy, DeliverPolicy: jetstream.DeliverAllPolicy, MaxDeliver: -1, MaxAckPending: 1000,
		FlowControl: true, IdleHeartbeat: time.Second,
	}
}

// peerStreams are the copies of a peer's streams at site. They use
// sources rather than mirrors. A mirror whose request to an unreachable peer got
// no answer waits up to half a minute, then two minutes more, and only an answer
// ends the wait. A source can be removed and added again at any time; it then
// resumes after the newest message that the stream has from it.
func peerStreams(site, peer cdp.Site) []jetstream.StreamConfig {
	events := jetstream.StreamConfig{
		Name: subjects.PeerEvents(peer), Description: "copy of the events of " + string(peer),
		Sources: []*jetstream.StreamSource{source(subjects.StreamEvents, site, peer)},
		MaxAge:  eventAge, MaxBytes: eventBytes, MaxMsgs: copyEvents, Discard: jetstream.DiscardOld, AllowDirect: true,
		RePublish: announced(),
	}
	// Whoever has all of the peer, and deletes its records there, has not these.
	audit := jetstream.StreamConfig{
		Name: subjects.PeerAudit(peer), Description: "copy of the records of " + string(peer),
		Sources: []*jetstream.StreamSource{source(subjects.StreamAudit, site, peer)},
		MaxAge:  auditAge, MaxBytes: auditBytes, MaxMsgs: copyEvents, Discard: jetstream.DiscardOld,
		DenyDelete: true, DenyPurge: true, AllowDirect: true,
	}
	return []jetstream.StreamConfig{
		events, audit, bucketCopy(subjects.BucketSpec, specHistory, site, peer), bucketCopy(subjects.BucketState, stateHistory, site, peer),
	}
}

func bucketCopy(name string, history int64, site, peer cdp.Site) jetstream.StreamConfig {
	src := source("KV_"+name, site, peer)
	src.SubjectTransforms = []jetstream.SubjectTransformConfig{{Source: "$KV." + name + ".>", Destination: "$KV." + subjects.PeerBucket(name, peer) + ".>"}}
	return jetstream.StreamConfig{
		Name: "KV_" + subjects.PeerBucket(name, peer), Description: "copy of " + name + " of " + string(peer),
		Sources:           []*jetstream.StreamSource{src},
		MaxMsgsPerSubject: history, MaxBytes: copyBytes, MaxMsgs: copyValues, Discard: jetstream.DiscardOld,
		DenyDelete: true, AllowDirect: true, RePublish: announced(),
	}
}

func source(stream string, site, peer cdp.Site) *jetstream.StreamSource {
	return &jetstream.StreamSource{
		Name: stream, External: &jetstream.ExternalStream{APIPrefix: apiPrefix(site, peer)},
		Consumer: &jetstream.StreamConsumerSource{Name: subjects.CopyConsumer(peer, site), DeliverSubject: subjects.CopySubject(peer, site, stream)},
	}
}

const (
	followEvery = time.Second
	// followIdle is the silence after which a source counts as stalled. A working
	// one is heard from every second.
	followIdle = 3 * time.Second
	// followGrace is how long a restarted source may take until it is heard from. It
	// is longer than the server waits for the answer to a reset, which is 5 s.
	followGrace = 6 * time.Second
	// followPause is the silence after which the peer may have been restarted.
	followPause = 1500 * time.Millisecond
	// compareEvery is how often a copy is compared with the peer's stream if it is never
	// silent.
	compareEvery = 10 * time.Second
	// copyQuiet is how long a copy without source must have taken in nothing before
	// its source is added again.
	copyQuiet = 250 * time.Millisecond
)

// FollowPeer keeps the copies of a peer up to date until ctx ends. It restarts a
// stalled copy soon after the peer can be reached again, because the server backs
// off ever longer. It also lets the peer resume its copies of this site. Several
// processes may run it for one site.
func FollowPeer(ctx context.Context, conn *Conn, peer cdp.Site) error {
	resets, err := conn.serveResets(peer)
	if err != nil {
		return wrap(err, "follow", string(peer))
	}
	defer func() { _ = resets.Unsubscribe() }()
	var copies []*following
	for _, cfg := range peerStreams(conn.site, peer) {
		copies = append(copies, &following{conn: conn, cfg: cfg})
	}
	for {
		for _, f := range copies {
			if time.Since(f.restartedAt) < followGrace {
				continue
			}
			if err := f.look(ctx); err != nil && ctx.Err() == nil {
				conn.notify(Notice{What: "peer not followed", Err: wrap(err, "follow", f.cfg.Name)})
			}
		}
		if err := clock.Sleep(ctx, clock.System, followEvery); err != nil {
			return err
		}
	}
}

// following is a copy that is kept up to date.
type following struct {
	conn        *Conn
	cfg         jetstream.StreamConfig
	restartedAt time.Time
	comparedAt  time.Time // zero: it is due, for the peer may have been restarted
}

// look restarts a copy that has stalled, and compares it with the peer's stream.
func (f *following) look(ctx context.Context) error {
	silent, restarted, err := followCopy(ctx, f.conn, f.cfg)
	if silent > followPause || restarted {
		f.comparedAt = time.Time{}
	}
	if err == nil && silent <= followPause && time.Since(f.comparedAt) >= compareEvery {
		f.comparedAt = time.Now()
		restarted, err = compareCopy(ctx, f.conn, f.cfg)
	}
	if restarted {
		f.restartedAt = time.Now()
	}
	return err
}

// followCopy restarts a copy whose source is silent although the peer answers. silent is
// for how long it was.
func followCopy(ctx context.Context, conn *Conn, cfg jetstream.StreamConfig) (silent time.Duration, restarted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	s, err := conn.js.Stream(ctx, cfg.Name)
	if err != nil {
		return 0, false, err
	}
	silent = followIdle
	if now := s.CachedInfo().Sources; len(now) > 0 {
		if a := now[0].Active; a >= 0 && a < followIdle {
			return a, false, nil
		}
		src := cfg.Sources[0]
		if err := conn.ask(ctx, src.External.APIPrefix+".CONSUMER.INFO."+src.Name+"."+src.Consumer.Name, nil, nil); err != nil {
			return silent, false, nil // it cannot be reached, or is not set up yet
		}
	}
	return silent, true, restartCopy(ctx, conn.js, cfg)
}

// restartCopy removes the source and adds it again, which ends the server's
// back-off. The copy keeps its messages, and the source resumes after them.
//
// The server finds out where to resume when the source is added. It goes on to
// store what it has received from the removed one, and an answer to a reset that
// was still on its way counts for the new one: both would be stored twice. So the
// source is added when nothing of the removed one is left.
func restartCopy(ctx context.Context, own jetstream.JetStream, cfg jetstream.StreamConfig) error {
	without := cfg
	without.Sources = nil
	if err := ensureOne(ctx, own, without); err != nil {
		return err
	}
	if err := awaitQuiet(ctx, own, cfg.Name); err != nil {
		return err
	}
	return ensureOne(ctx, own, cfg)
}

// awaitQuiet waits until a stream has not grown for copyQuiet.
func awaitQuiet(ctx context.Context, own jetstream.JetStream, stream string) error {
	for last, known := uint64(0), false; ; known = true {
		s, err := own.Stream(ctx, stream)
		if err != nil {
			return err
		}
		now := s.CachedInfo().State.LastSeq
		if known && now == last {
			return nil
		}
		last = now
		if err := clock.Sleep(ctx, clock.System, copyQuiet); err != nil {
			return err
		}
	}
}
