package bus

import (
	"slices"

	"github.com/nats-io/nats.go/micro"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/cdp"
)

// Permission is what one service may publish and subscribe to, as subjects. Nothing is
// allowed for being an answer: who sends a request chooses where that would go.
type Permission struct {
	Publish, Subscribe []string
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
	b.sub(InboxPrefix(service) + ".>")
	b.messages(r)
	b.events(r)
	b.buckets(r)
	b.study(r)
	b.frames(r)
	slices.Sort(b.Publish)
	b.Publish = slices.Compact(b.Publish)
	slices.Sort(b.Subscribe)
	b.Subscribe = slices.Compact(b.Subscribe)
	return b.Permission
}

type permissions struct {
	Permission
	service string
	site    cdp.Site
	peers   []cdp.Site
	known   []string // the streams that it may read
}

func (b *permissions) pub(subjects ...string) { b.Publish = append(b.Publish, subjects...) }
func (b *permissions) sub(subjects ...string) { b.Subscribe = append(b.Subscribe, subjects...) }

// api allows a request to JetStream of the own site.
func (b *permissions) api(request string) { b.pub(subjects.API + "." + request) }

func (b *permissions) sites() []cdp.Site { return append([]cdp.Site{b.site}, b.peers...) }

// messages: events it emits, commands and requests either way.
func (b *permissions) messages(r role) {
	site := string(b.site)
	for _, area := range r.emits {
		b.pub(subjects.Root + "evt.v1." + site + "." + area + ".>")
	}
	if r.handles {
		b.pub(subjects.Root+"evt.v1."+site+".command.refused.>", subjects.Root+"dlq.v1."+site+"."+b.service+".>")
		b.pub(subjects.AuditSubject(b.site, b.service, "*"))
		b.api("CONSUMER.INFO." + subjects.StreamCommands + "." + b.service)
		b.api("CONSUMER.MSG.NEXT." + subjects.StreamCommands + "." + b.service)
		b.acks(subjects.StreamCommands, b.service)
	}
	if r.serves {
		b.sub("$SRV.>", subjects.RequestSubject(b.site, b.service, "*"), subjects.PresenceSubject(b.site, b.service))
		b.pub(pingSubject(b.service)) // a health check is the service itself
		b.answers()
	}
	for x, verbs := range r.commands {
		for _, verb := range verbs {
			b.pub(subjects.CommandSubject(b.site, x, verb, "*"))
		}
		for _, verb := range granted(verbs, peerCommands[x]) {
			b.atPeers(func(peer cdp.Site) string { return subjects.CommandSubject(peer, x, verb, "*") })
		}
	}
	for x, endpoints := range r.asks {
		if slices.Contains(endpoints, anyOf) {
			b.pub(pingSubject(x))
		}
		for _, endpoint := range endpoints {
			b.pub(subjects.RequestSubject(b.site, x, endpoint))
		}
		for _, endpoint := range granted(endpoints, peerEndpoints[x]) {
			b.atPeers(func(peer cdp.Site) string { return subjects.PresenceSubject(peer, x) })
			b.atPeers(func(peer cdp.Site) string { return subjects.RequestSubject(peer, x, endpoint) })
		}
	}
}

// answers: to the inboxes of those who may ask it something, of its own health check, and
// of peers.
func (b *permissions) answers() {
	for _, caller := range append(callers(b.service, anyOf), b.service) {
		b.pub(InboxPrefix(caller) + ".>")
	}
	if len(peerEndpoints[b.service]) > 0 {
		b.pub(peerReplies + ">")
	}
}

// granted are those of what crosses a link that a role has.
func granted(has, crosses []string) []string {
	if slices.Contains(has, anyOf) {
		return crosses
	}
	return slices.DeleteFunc(slices.Clone(crosses), func(x string) bool { return !slices.Contains(has, x) })
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
	if r.watches {
		b.read(subjects.StreamEvents, subjects.Root+"evt.v1."+string(b.site)+".>")
		for _, p := range b.peers {
			b.read(subjects.PeerEvents(p), subjects.Root+"evt.v1."+string(p)+".>")
		}
	}
	if r.buried {
		b.read(subjects.StreamDeadLetters, subjects.Root+"dlq.v1."+string(b.site)+".>")
		b.api("STREAM.MSG.DELETE." + subjects.StreamDeadLetters)
		b.read(subjects.StreamAudit, subjects.AuditSubject(b.site, "*", "*"))
		for _, p := range b.peers {
			b.read(subjects.PeerAudit(p), subjects.AuditSubject(p, "*", "*"))
		}
	}
}

// study: what the NATS CLI needs to look around. Nothing of it changes anything.
func (b *permissions) study(r role) {
	if !r.studies {
		return
	}
	b.sub(subjects.Root + "evt.v1.>")
	b.api("INFO")
	b.api("STREAM.LIST")
	b.api("STREAM.NAMES")
	b.api("STREAM.INFO.*")
	b.api("CONSUMER.LIST.*")
	b.api("CONSUMER.NAMES.*")
	b.api("CONSUMER.INFO.*.*")
	for _, stream := range b.known { // nats stream get
		b.api("STREAM.MSG.GET." + stream)
	}
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		b.pub(micro.APIPrefix+"."+verb, micro.APIPrefix+"."+verb+".>")
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
	if bucket == subjects.BucketEpoch { // by key only
		b.api("STREAM.INFO.KV_" + bucket)
		b.api("DIRECT.GET.KV_" + bucket + ".$KV." + bucket + "." + keys)
		return
	}
	b.read("KV_"+bucket, "$KV."+bucket+"."+keys)
	for _, p := range b.peers {
		copied := subjects.PeerBucket(bucket, p)
		b.read("KV_"+copied, "$KV."+copied+"."+keys)
	}
}

// read allows to read a stream, and to be told what is new under some subjects. A
// scan names its subjects in the request, where no permission sees them: who scans a
// part of a stream may scan all of it.
func (b *permissions) read(stream, part string) {
	b.known = append(b.known, stream)
	b.api("STREAM.INFO." + stream)
	b.api("DIRECT.GET." + stream)
	b.api("DIRECT.GET." + stream + "." + part)
	b.sub(subjects.Stored(part))
}

// frames: publishing them at the own site, or taking them from any. Set-up makes
// the streams.
func (b *permissions) frames(r role) {
	if r.framesOut {
		subject := subjects.WriteSubject(b.site, "*")
		b.pub(subject)
		b.sub(subjects.AckSubject(b.site, "*", "*"))
		b.api("DIRECT.GET.*." + subject)
		b.api("STREAM.INFO.*")
		b.api("STREAM.LIST")
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
