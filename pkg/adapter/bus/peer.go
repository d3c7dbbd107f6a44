package bus

import (
	"context"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
)

// EnsurePeer makes the local copies of a peer's events and buckets. The peer
// need not be reachable: FollowPeer fills them when it is.
func EnsurePeer(ctx context.Context, conn *Conn, peer cdp.Site) error {
	if err := cdp.CheckName("peer", string(peer)); err != nil {
		return err
	}
	if peer == conn.site {
		return cdp.Errorf(cdp.Invalid, "join peer", string(peer), "is this site itself")
	}
	return conn.ensure(ctx, peerStreams(peer))
}

// peerStreams are the copies. They are sourced and no mirrors in the server's
// words: what a mirror asked of a peer that could not be reached it waits for
// up to half a minute and then two minutes more, and nothing but an answer ends
// that. A source may be taken away and given back at any time, and then goes on
// behind the newest message that the stream has of it.
func peerStreams(peer cdp.Site) []jetstream.StreamConfig {
	events := jetstream.StreamConfig{
		Name: subjects.PeerEvents(peer), Description: "copy of the events of " + string(peer),
		Sources: []*jetstream.StreamSource{source(subjects.StreamEvents, peer)},
		MaxAge:  eventAge, MaxBytes: eventBytes, Discard: jetstream.DiscardOld, AllowDirect: true,
	}
	return []jetstream.StreamConfig{events, bucketCopy(subjects.BucketSpec, specHistory, peer), bucketCopy(subjects.BucketState, stateHistory, peer)}
}

func bucketCopy(name string, history int64, peer cdp.Site) jetstream.StreamConfig {
	src := source("KV_"+name, peer)
	src.SubjectTransforms = []jetstream.SubjectTransformConfig{{Source: "$KV." + name + ".>", Destination: "$KV." + subjects.PeerBucket(name, peer) + ".>"}}
	return jetstream.StreamConfig{
		Name: "KV_" + subjects.PeerBucket(name, peer), Description: "copy of " + name + " of " + string(peer),
		Sources:           []*jetstream.StreamSource{src},
		MaxMsgsPerSubject: history, DenyDelete: true, AllowDirect: true,
	}
}

func source(stream string, peer cdp.Site) *jetstream.StreamSource {
	return &jetstream.StreamSource{Name: stream, External: &jetstream.ExternalStream{APIPrefix: apiPrefix(peer)}}
}

const (
	followEvery = time.Second
	// followIdle: a source that follows is heard every second.
	followIdle = 3 * time.Second
	// followGrace is what a source is given to be heard after it began anew.
	followGrace = 5 * time.Second
)

// FollowPeer sees to it that the copies of a peer follow soon after the peer can
// be reached, until ctx ends: the server itself tries again ever more seldom.
// Several processes may do it for one site.
func FollowPeer(ctx context.Context, conn *Conn, peer cdp.Site) error {
	own, err := conn.jetstream(conn.site)
	if err != nil {
		return err
	}
	far, err := conn.jetstream(peer)
	if err != nil {
		return err
	}
	streams := peerStreams(peer)
	begun := make([]time.Time, len(streams))
	for {
		for i, cfg := range streams {
			if time.Since(begun[i]) < followGrace {
				continue
			}
			anew, err := follow(ctx, own, far, cfg)
			if anew {
				begun[i] = time.Now()
			}
			if err != nil && ctx.Err() == nil {
				conn.notify(Notice{"peer not followed", wrap(err, "follow", cfg.Name)})
			}
		}
		if err := pause(ctx, followEvery); err != nil {
			return err
		}
	}
}

// follow begins a copy anew if it is not heard of, and the peer would answer.
func follow(ctx context.Context, own, far jetstream.JetStream, cfg jetstream.StreamConfig) (anew bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ensureTimeout)
	defer cancel()
	s, err := own.Stream(ctx, cfg.Name)
	if err != nil {
		return false, err
	}
	if now := s.CachedInfo().Sources; len(now) > 0 {
		if a := now[0].Active; a >= 0 && a < followIdle {
			return false, nil
		}
		if _, err := far.Stream(ctx, cfg.Sources[0].Name); err != nil {
			return false, nil // it cannot be reached, or is not set up yet
		}
	}
	return true, beginAnew(ctx, own, cfg)
}

// beginAnew takes the source away and gives it back, which ends all waiting.
// What the copy holds stays, and the source goes on behind it.
func beginAnew(ctx context.Context, own jetstream.JetStream, cfg jetstream.StreamConfig) error {
	without := cfg
	without.Sources = nil
	if err := ensureOne(ctx, own, without); err != nil {
		return err
	}
	return ensureOne(ctx, own, cfg)
}
