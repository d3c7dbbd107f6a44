package subjects

import (
	"strings"

	"tidemark.dev/pkg/cdp"
)

// Names of streams and buckets.
const (
	StreamCommands    = "CMD"
	StreamEvents      = "EVT"
	StreamDeadLetters = "DLQ"
	StreamAudit       = "AUDIT"

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

// RequestSubject is where an endpoint of a service listens.
func RequestSubject(site cdp.Site, service, endpoint string) string {
	return Root + "api.v1." + string(site) + "." + service + "." + endpoint
}

// RequestType is the CloudEvents type of a request, for who sends it as an event.
func RequestType(service, endpoint string) string {
	return Root + "api.v1." + service + "." + endpoint
}

// AuditSubject is where a service records what it was asked.
func AuditSubject(site cdp.Site, service, what string) string {
	return Root + "audit.v1." + string(site) + "." + service + "." + what
}

// WriteSubject carries the frames of a group.
func WriteSubject(site cdp.Site, group cdp.GroupID) string {
	return Root + "write.v1." + string(site) + "." + string(group)
}

// WrittenGroup is the group whose frames a subject carries, if they are captured
// at site.
func WrittenGroup(site cdp.Site, subject string) (cdp.GroupID, bool) {
	g, ok := strings.CutPrefix(subject, WriteSubject(site, ""))
	return cdp.GroupID(g), ok && cdp.CheckName("group", g) == nil
}

// AckSubject carries the group's durable frame number from target, where its
// journal is, back to capture at site.
func AckSubject(site, target cdp.Site, group cdp.GroupID) string {
	return Root + "ack.v1." + string(site) + "." + string(target) + "." + string(group)
}

// API is where a site's own JetStream is asked.
const API = "$JS.API"

// PeerAPI is where a peer asks JetStream of site for the little that crosses
// the link.
func PeerAPI(site cdp.Site) string { return "link." + string(site) + ".js" }

// PresenceSubject is listened to by a service for as long as it answers
// requests. Nothing is read from it: whether somebody listens is the message.
func PresenceSubject(site cdp.Site, service string) string {
	return "link." + string(site) + ".serves." + service
}

// Stored is where a site's server announces that it has stored a message of a
// subject in a stream that is read by services. The announcement is headers only.
func Stored(subject string) string { return "stored." + subject }

// FrameConsumer is the consumer of a group's stream through which target's
// journal takes the frames. A site's name holds no underscore.
func FrameConsumer(target cdp.Site) string { return "frames_" + string(target) }

// CopyConsumer is the consumer of a stream of site through which peer copies it.
func CopyConsumer(site, peer cdp.Site) string { return "copy_" + string(site) + "_" + string(peer) }

// CopyReset is where a peer's request arrives to go on with its copy of a stream
// from some message on.
func CopyReset(site, peer cdp.Site, stream string) string {
	return "link." + string(site) + ".reset." + stream + "." + CopyConsumer(site, peer)
}

// CopySubject is where that consumer delivers.
func CopySubject(site, peer cdp.Site, stream string) string {
	return "link." + string(site) + ".copy." + string(peer) + "." + stream
}

// FrameStream is the name of the group's stream at its source site.
func FrameStream(group cdp.GroupID) string { return "WRITE_" + string(group) }

// PeerEvents is the name of the local copy of a peer's events.
func PeerEvents(peer cdp.Site) string { return StreamEvents + "_" + string(peer) }

// PeerAudit is the name of the local copy of a peer's records of what was asked.
func PeerAudit(peer cdp.Site) string { return StreamAudit + "_" + string(peer) }

// PeerBucket is the name of the local copy of a peer's bucket.
func PeerBucket(bucket string, peer cdp.Site) string { return bucket + "-" + string(peer) }
