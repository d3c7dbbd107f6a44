package bus

import (
	"strings"

	"tidemark.dev/pkg/cdp"
)

// Names of streams and buckets.
const (
	StreamCommands    = "CMD"
	StreamEvents      = "EVT"
	StreamDeadLetters = "DLQ"

	BucketSpec  = "tidemark-spec"
	BucketState = "tidemark-state"
	BucketEpoch = "tidemark-epoch"
)

const root = "tidemark."

// CommandSubject is where a command for service is published.
func CommandSubject(site cdp.Site, service, verb, id string) string {
	return root + "cmd.v1." + string(site) + "." + service + "." + verb + "." + id
}

// EventSubject is where an event is published.
func EventSubject(site cdp.Site, area, fact, id string) string {
	return root + "evt.v1." + string(site) + "." + area + "." + fact + "." + id
}

// RequestSubject is where an endpoint of a service listens.
func RequestSubject(site cdp.Site, service, endpoint string) string {
	return root + "api.v1." + string(site) + "." + service + "." + endpoint
}

// WriteSubject carries the frames of a group.
func WriteSubject(site cdp.Site, group cdp.GroupID) string {
	return root + "write.v1." + string(site) + "." + string(group)
}

// AckSubject carries the group's durable frame number back to capture.
func AckSubject(site cdp.Site, group cdp.GroupID) string {
	return root + "ack.v1." + string(site) + "." + string(group)
}

// FrameStream is the name of the group's stream in the source site's domain.
func FrameStream(group cdp.GroupID) string { return "WRITE_" + string(group) }

// PeerEvents is the name of the local copy of a peer's events.
func PeerEvents(peer cdp.Site) string { return StreamEvents + "_" + string(peer) }

// PeerBucket is the name of the local copy of a peer's bucket.
func PeerBucket(bucket string, peer cdp.Site) string { return bucket + "-" + string(peer) }

// apiPrefix is how JetStream of a domain is addressed from anywhere.
func apiPrefix(domain cdp.Site) string { return "$JS." + string(domain) + ".API" }

// token makes s fit to be one token of a subject.
func token(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '.' || r == '*' || r == '>' || r <= ' ' || r == 0x7f:
			return '-'
		}
		return r
	}, s)
}
