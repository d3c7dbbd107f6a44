package bus

import (
	"slices"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats-server/v2/server"

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
// which talks to peers. A service that is not known may do nothing.
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

// forms are the subjects of a JetStream request to a domain. The own domain's
// prefix is taken off by the server before it checks.
func (b *permissions) forms(domain cdp.Site, request string) []string {
	out := []string{apiPrefix(domain) + "." + request}
	if domain == b.site {
		out = append(out, "$JS.API."+request)
	}
	return out
}

func (b *permissions) api(domain cdp.Site, request string) { b.pub(b.forms(domain, request)...) }

func (b *permissions) deny(domain cdp.Site, request string) {
	b.PublishDeny = append(b.PublishDeny, b.forms(domain, request)...)
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
		b.api(b.site, "CONSUMER.CREATE."+subjects.StreamCommands+"."+b.service+"."+subjects.Root+"cmd.v1."+site+"."+b.service+".>")
		b.api(b.site, "CONSUMER.MSG.NEXT."+subjects.StreamCommands+"."+b.service)
		b.acks(subjects.StreamCommands, b.service)
	}
	if r.serves {
		b.sub("$SRV.>", subjects.Root+"api.v1."+site+"."+b.service+".*")
	}
	for _, s := range b.sites() {
		for _, x := range r.commands {
			b.pub(subjects.Root + "cmd.v1." + string(s) + "." + x + ".>")
		}
		for _, x := range r.asks {
			b.pub(subjects.Root + "api.v1." + string(s) + "." + x + ".*")
		}
	}
}

func (b *permissions) acks(stream, consumer string) {
	b.pub("$JS.ACK."+stream+"."+consumer+".>", "$JS.ACK.*.*."+stream+"."+consumer+".>")
}

// events: watching them, and dead letters.
func (b *permissions) events(r role) {
	read := func(stream, subjects string) {
		b.api(b.site, "STREAM.INFO."+stream)
		b.api(b.site, "CONSUMER.CREATE."+stream+".*."+subjects)
		b.api(b.site, "CONSUMER.MSG.NEXT."+stream+".*")
		b.api(b.site, "CONSUMER.DELETE."+stream+".*")
		b.api(b.site, "DIRECT.GET."+stream+"."+subjects)
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
			b.readBucket(bucket, p+".>", r.far)
		}
	}
	lease := map[string][]string{subjects.BucketState: {"lease." + b.service}}
	for _, writes := range []map[string][]string{r.writes, lease} {
		for bucket, prefixes := range writes {
			for _, p := range prefixes {
				for _, keys := range []string{p, p + ".>"} {
					b.readBucket(bucket, keys, r.far)
					b.pub("$KV." + bucket + "." + keys)
					b.api(b.site, "$KV."+bucket+"."+keys)
					for _, peer := range b.peers {
						if r.far {
							b.api(peer, "$KV."+bucket+"."+keys)
						}
					}
				}
			}
		}
	}
}

func (b *permissions) readBucket(bucket, keys string, far bool) {
	read := func(domain cdp.Site, bucket string) {
		stream := "KV_" + bucket
		b.api(domain, "STREAM.INFO."+stream)
		b.api(domain, "DIRECT.GET."+stream+".$KV."+bucket+"."+keys)
		b.api(domain, "CONSUMER.CREATE."+stream+".*.$KV."+bucket+"."+keys)
		b.api(domain, "CONSUMER.DELETE."+stream+".*")
		b.pub("$JS.FC."+stream+".>", "$JS.FC.*.*."+stream+".>")
	}
	read(b.site, bucket)
	for _, p := range b.peers {
		if bucket != subjects.BucketEpoch {
			read(b.site, subjects.PeerBucket(bucket, p))
		}
		if far {
			read(p, bucket)
		}
	}
}

// frames: publishing them at the own site, or pulling them from any. A stream's
// name is one token, so the streams of groups cannot be told from others by a
// pattern: what must not be touched is denied by name.
func (b *permissions) frames(r role) {
	if r.framesOut {
		subject := subjects.Root + "write.v1." + string(b.site) + ".*"
		b.pub(subject)
		b.sub(subjects.Root + "ack.v1." + string(b.site) + ".*")
		b.api(b.site, "DIRECT.GET.*."+subject)
		b.api(b.site, "STREAM.INFO.*")
		for _, verb := range []string{"STREAM.CREATE.", "STREAM.UPDATE.", "STREAM.DELETE."} {
			b.api(b.site, verb+"*")
			b.denyStreams(b.site, verb, "")
		}
	}
	if !r.framesIn {
		return
	}
	for _, s := range b.sites() {
		subject := subjects.Root + "write.v1." + string(s) + ".*"
		b.pub(subjects.Root + "ack.v1." + string(s) + ".*")
		b.api(s, "STREAM.INFO.*")
		b.api(s, "CONSUMER.CREATE.*.*."+subject)
		b.api(s, "CONSUMER.MSG.NEXT.*.*")
		b.api(s, "CONSUMER.DELETE.*.*")
		b.api(s, "STREAM.PURGE.*")
		b.denyStreams(s, "STREAM.PURGE.", "")
		b.denyStreams(s, "CONSUMER.MSG.NEXT.", ".*")
		b.denyStreams(s, "CONSUMER.DELETE.", ".*")
	}
}

// denyStreams denies a request on every stream that is not a group's, but for
// the service's own consumer of commands and its own watches of buckets.
func (b *permissions) denyStreams(domain cdp.Site, verb, consumers string) {
	names := []string{subjects.StreamEvents, subjects.StreamDeadLetters, "KV_" + subjects.BucketEpoch}
	for _, s := range b.sites() {
		names = append(names, subjects.PeerEvents(s))
	}
	own := domain == b.site && consumers != ""
	if !own || verb != "CONSUMER.DELETE." {
		for _, bucket := range []string{subjects.BucketSpec, subjects.BucketState} {
			names = append(names, "KV_"+bucket)
			for _, s := range b.sites() {
				names = append(names, "KV_"+subjects.PeerBucket(bucket, s))
			}
		}
	}
	for _, n := range names {
		b.deny(domain, verb+n+consumers)
	}
	if !own {
		b.deny(domain, verb+subjects.StreamCommands+consumers)
		return
	}
	for _, s := range subjects.Services() {
		if s != b.service {
			b.deny(domain, verb+subjects.StreamCommands+"."+s)
		}
	}
}

// server gives the permission in the server's words.
func (p Permission) server() *server.Permissions {
	subscribe := &server.SubjectPermission{Allow: p.Subscribe}
	publish := &server.SubjectPermission{Allow: p.Publish, Deny: p.PublishDeny}
	if len(p.Publish) == 0 {
		publish.Deny = []string{">"}
	}
	if len(p.Subscribe) == 0 {
		subscribe.Deny = []string{">"}
	}
	return &server.Permissions{
		Publish: publish, Subscribe: subscribe,
		Response: &server.ResponsePermission{MaxMsgs: partsMax, Expires: p.Answer},
	}
}
