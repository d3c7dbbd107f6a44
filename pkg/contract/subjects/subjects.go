package subjects

import "tidemark.dev/pkg/cdp"

// Names of streams and buckets.
const (
	StreamCommands    = "CMD"
	StreamEvents      = "EVT"
	StreamDeadLetters = "DLQ"

	BucketSpec  = "tidemark-spec"
	BucketState = "tidemark-state"
	BucketEpoch = "tidemark-epoch"
)

// Root begins every subject of Tidemark.
const Root = "tidemark."

// CommandSubject is where a command for service is published.
func CommandSubject(site cdp.Site, service, verb, id string) string {
	return Root + "cmd.v1." + string(site) + "." + service + "." + verb + "." + id
}

// EventSubject is where an event is published.
func EventSubject(site cdp.Site, area, fact, id string) string {
	return Root + "evt.v1." + string(site) + "." + area + "." + fact + "." + id
}

// RequestSubject is where an endpoint of a service listens.
func RequestSubject(site cdp.Site, service, endpoint string) string {
	return Root + "api.v1." + string(site) + "." + service + "." + endpoint
}

// WriteSubject carries the frames of a group.
func WriteSubject(site cdp.Site, group cdp.GroupID) string {
	return Root + "write.v1." + string(site) + "." + string(group)
}

// AckSubject carries the group's durable frame number back to capture.
func AckSubject(site cdp.Site, group cdp.GroupID) string {
	return Root + "ack.v1." + string(site) + "." + string(group)
}

// FrameStream is the name of the group's stream in the source site's domain.
func FrameStream(group cdp.GroupID) string { return "WRITE_" + string(group) }

// PeerEvents is the name of the local copy of a peer's events.
func PeerEvents(peer cdp.Site) string { return StreamEvents + "_" + string(peer) }

// PeerBucket is the name of the local copy of a peer's bucket.
func PeerBucket(bucket string, peer cdp.Site) string { return bucket + "-" + string(peer) }
