package bus

import (
	"slices"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/cdp"
)

// Permission is what one service may publish and subscribe to, as subjects.
// Replies to requests it received are always allowed.
type Permission struct {
	Publish, PublishDeny []string
	Subscribe            []string
	// Answer is how long after a request it may be answered.
	Answer time.Duration
}

// Permissions gives the permission of a service's user on the server of site,
// which talks to peers. An unknown service may do nothing.
func Permissions(service string, site cdp.Site, peers ...cdp.Site) Permission {
	if service == subjects.Setup {
		return Permission{Publish: []string{">"}, Subscribe: []string{">"}}
	}
	r, ok := roleOf(service)
	if !ok {
		return Permission{}
	}
	b := &permissions{service: service, site: site, peers: peers}
	b.Answer = answerTime
	if r.framesIn {
		b.Answer = answerTimeFrames
	}
	b.sub(inboxPrefix(service) + ".>")
	b.messages(r)
	b.events(r)
	b.buckets(r)
	b.frames(r)
	slices.Sort(b.Publish)
	b.Publish = slices.Compact(b.Publish)
	return b.Permission
}

type permissions struct {
	Permission
	service string
	site    cdp.Site
	peers   []cdp.Site
}

func (b *permissions) pub(subjects ...string) { b.Publish = append(b.Publish, subjects...) }
func (b *permissions) sub(subjects ...string) { b.Subscribe = append(b.Subscribe, subjects...) }

// api allows a request to JetStream of the own site.
func (b *permissions) api(request string) { b.pub(subjects.API + "." + request) }

func (b *permissions) deny(request string) {
	b.PublishDeny = append(b.PublishDeny, subjects.API+"."+request)
}

func (b *permissions) sites() []cdp.Site { return append([]cdp.Site{b.site}, b.peers...) }

// messages: events it emits, commands and requests either way.
func (b *permissions) messages(r role) {
	site := string(b.site)
	for _, area := range r.emits {
		b.pub(subjects.Root + "evt.v1." + site + "." + area + ".>")
	}
	if r.handles {
		b.pub(subjects.Root+"evt.v1."+site+".command.refused.>", subjects.Root+"dlq.v1."+site+"."+b.service+".>")
		b.api("CONSUMER.CREATE." + subjects.StreamCommands + "." + b.service + "." + subjects.Root + "cmd.v1." + site + "." + b.service + ".>")
		b.api("CONSUMER.MSG.NEXT." + subjects.StreamCommands + "." + b.service)
		b.acks(subjects.StreamCommands, b.service)
	}
	if r.serves {
		b.sub("$SRV.>", subjects.RequestSubject(b.site, b.service, "*"), subjects.PresenceSubject(b.site, b.service))
	}
	for _, x := range r.commands {
		b.pub(subjects.CommandSubject(b.site, x, "*", "*"))
		for _, verb := range peerCommands[x] {
			b.atPeers(func(peer cdp.Site) string { return subjects.CommandSubject(peer, x, verb, "*") })
		}
	}
	for _, x := range r.asks {
		b.pub(subjects.RequestSubject(b.site, x, "*"))
		b.atPeers(func(peer cdp.Site) string { return subjects.PresenceSubject(peer, x) })
		for _, endpoint := range peerEndpoints[x] {
			b.atPeers(func(peer cdp.Site) string { return subjects.RequestSubject(peer, x, endpoint) })
		}
	}
}

func (b *permissions) atPeers(subject func(cdp.Site) string) {
	for _, p := range b.peers {
		b.pub(subject(p))
	}
}

func (b *permissions) acks(stream, consumer string) {
	b.pub("$JS.ACK."+stream+"."+consumer+".>", "$JS.ACK.*.*."+stream+"."+consumer+".>")
}

// events: watching them, and dead letters.
func (b *permissions) events(r role) {
	read := func(stream, subjects string) {
		b.api("STREAM.INFO." + stream)
		b.api("CONSUMER.CREATE." + stream + ".*." + subjects)
		b.api("CONSUMER.MSG.NEXT." + stream + ".*")
		b.api("CONSUMER.DELETE." + stream + ".*")
		b.api("DIRECT.GET." + stream + "." + subjects)
	}
	if r.watches {
		read(subjects.StreamEvents, subjects.Root+"evt.v1."+string(b.site)+".>")
		for _, p := range b.peers {
			read(subjects.PeerEvents(p), subjects.Root+"evt.v1."+string(p)+".>")
		}
	}
	if r.buried {
		read(subjects.StreamDeadLetters, subjects.Root+"dlq.v1."+string(b.site)+".>")
	}
}

// buckets: what it reads and writes, by key prefix.
func (b *permissions) buckets(r role) {
	for bucket, prefixes := range r.reads {
		for _, p := range prefixes {
			b.readBucket(bucket, p+".>")
		}
	}
	lease := map[string][]string{subjects.BucketState: {"lease." + b.service}}
	for _, writes := range []map[string][]string{r.writes, lease} {
		for bucket, prefixes := range writes {
			for _, p := range prefixes {
				for _, keys := range []string{p, p + ".>"} {
					b.readBucket(bucket, keys)
					b.pub("$KV." + bucket + "." + keys)
				}
			}
		}
	}
}

// readBucket allows to read a bucket, and the copies of the peers'.
func (b *permissions) readBucket(bucket, keys string) {
	read := func(bucket string) {
		stream := "KV_" + bucket
		b.api("STREAM.INFO." + stream)
		b.api("DIRECT.GET." + stream + ".$KV." + bucket + "." + keys)
		b.api("CONSUMER.CREATE." + stream + ".*.$KV." + bucket + "." + keys)
		b.api("CONSUMER.DELETE." + stream + ".*")
		b.pub("$JS.FC."+stream+".>", "$JS.FC.*.*."+stream+".>")
	}
	read(bucket)
	for _, p := range b.peers {
		if bucket != subjects.BucketEpoch {
			read(subjects.PeerBucket(bucket, p))
		}
	}
}

// frames: publishing them at the own site, or taking them from any. A stream's
// name is one token, so no pattern matches the streams of groups alone. The other
// streams are denied by name.
func (b *permissions) frames(r role) {
	if r.framesOut {
		subject := subjects.WriteSubject(b.site, "*")
		b.pub(subject)
		b.sub(subjects.AckSubject(b.site, "*", "*"))
		b.api("DIRECT.GET.*." + subject)
		b.api("DIRECT.GET.*")
		b.denyStreams("DIRECT.GET.")
		b.api("STREAM.INFO.*")
		b.api("STREAM.LIST")
		for _, verb := range []string{"STREAM.CREATE.", "STREAM.UPDATE.", "STREAM.DELETE.", "STREAM.PURGE."} {
			b.api(verb + "*")
			b.denyStreams(verb)
		}
		b.api("CONSUMER.NAMES.*")
		for _, s := range b.sites() {
			b.api("CONSUMER.CREATE.*." + subjects.FrameConsumer(s) + "." + subject)
			b.api("CONSUMER.DELETE.*." + subjects.FrameConsumer(s))
		}
	}
	if !r.framesIn {
		return
	}
	for _, s := range b.sites() {
		b.pub(subjects.AckSubject(s, b.site, "*"))
		for _, verb := range []string{"INFO", "RESET", "MSG.NEXT"} {
			b.pub(apiPrefix(b.site, s) + ".CONSUMER." + verb + ".*." + subjects.FrameConsumer(b.site))
		}
	}
}

// denyStreams denies a request on every stream that is not a group's.
func (b *permissions) denyStreams(verb string) {
	names := []string{subjects.StreamCommands, subjects.StreamEvents, subjects.StreamDeadLetters, "KV_" + subjects.BucketEpoch}
	for _, bucket := range []string{subjects.BucketSpec, subjects.BucketState} {
		names = append(names, "KV_"+bucket)
	}
	for _, s := range b.sites() {
		names = append(names, subjects.PeerEvents(s))
		for _, bucket := range []string{subjects.BucketSpec, subjects.BucketState} {
			names = append(names, "KV_"+subjects.PeerBucket(bucket, s))
		}
	}
	for _, n := range names {
		b.deny(verb + n)
	}
}
