package bus

import (
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// peerEndpoints are the endpoints that a service of one site answers to another
// site, by service. Every other endpoint is for its own site alone.
var peerEndpoints = map[string][]string{
	subjects.Capture: {api.CaptureMarks, api.CaptureStatus, api.CaptureSpool, api.CaptureDisks, api.CaptureClock, api.CaptureDrain, api.CaptureCopyStarted, api.CaptureSynced},
	subjects.Journal: {api.JournalCursor, api.JournalSums},
	subjects.VCenter: {
		api.VCenterInventory, api.VCenterVMs, api.VCenterUp, api.VCenterCheck, api.VCenterClocks, api.VCenterMembers, api.VMTap, api.VMFence,
		api.FilterStatus, api.FilterChange, api.TransporterList, api.TransporterDeploy, api.TransporterRemove,
	},
}

// peerCommands are the commands that a service takes from another site.
var peerCommands = map[string][]string{
	subjects.Capture:   {"mark", "synced"},
	subjects.Scheduler: {"job-run", "job-stop"},
}

// crossing is one kind of message that passes between the accounts of a site
// and its peers: requests to a service of the site, or messages it publishes.
type crossing struct {
	service bool
	// streams: it begins at the site's streams, or it is copied into the peer's; else
	// services send or answer it.
	streams bool
	// here is the subject in the site's own account. on is the subject on the
	// link and at the peer: it names the site, so that the services of two sites
	// cannot be taken for each other.
	here, on string
	// answers is how long after a request its answers may come; 0: there is one.
	answers time.Duration
}

// from is the account that it leaves from, at its site.
func (c crossing) from() string {
	if c.streams {
		return accountApp
	}
	return accountUsers
}

// to is the account that it arrives in, at the peer. What can be asked there arrives where
// the users' one export leads: see accounts.
func (c crossing) to() string {
	if c.streams || c.service {
		return accountApp
	}
	return accountUsers
}

// crossings are everything that site lets pass to and from one peer: what the
// peer may ask of site, and what site publishes to the peer. The other direction
// is crossings(peer, site). Nothing else crosses.
//
// What may be asked of JetStream is bounded by the name of the consumer, which
// only the site itself makes.
func crossings(site, peer cdp.Site) []crossing {
	var out []crossing
	ask := func(request string, answers time.Duration) {
		out = append(out, crossing{true, true, subjects.API + "." + request, subjects.PeerAPI(site) + "." + request, answers})
	}
	frames, copies := ".*."+subjects.FrameConsumer(peer), ".*."+subjects.CopyConsumer(site, peer)
	ask("CONSUMER.MSG.NEXT"+frames, restExpiry+5*time.Second)
	ask("CONSUMER.RESET"+frames, 0)
	ask("CONSUMER.INFO"+frames, 0)
	ask("CONSUMER.INFO"+copies, 0)
	out = append(out, crossing{true, false, subjects.CopyReset(site, peer, "*"), subjects.PeerAPI(site) + ".CONSUMER.RESET" + copies, 0})
	same := func(service, streams bool, subject string, answers time.Duration) {
		out = append(out, crossing{service, streams, subject, subject, answers})
	}
	same(true, true, "$JS.FC"+copies+".*", 0) // without it a copy stalls
	for _, service := range subjects.Services() {
		for _, endpoint := range peerEndpoints[service] {
			same(true, false, subjects.RequestSubject(site, service, endpoint), answerTime)
		}
		for _, verb := range peerCommands[service] {
			same(true, true, subjects.CommandSubject(site, service, verb, "*"), 0)
		}
	}
	same(false, false, subjects.PresenceSubject(peer, "*"), 0)
	same(false, true, subjects.CopySubject(site, peer, "*"), 0)
	same(false, false, subjects.AckSubject(peer, site, "*"), 0)
	return out
}

// onLink are the subjects of one kind as they are on the link.
func onLink(cs []crossing, service bool) (out []string) {
	for _, c := range cs {
		if c.service == service {
			out = append(out, c.on)
		}
	}
	return out
}

// linkPermission is what the peer's leaf may do in the account of its link, as
// site sees it: publish is what comes from the peer, subscribe what goes there.
func linkPermission(site, peer cdp.Site) Permission {
	ours, theirs := crossings(site, peer), crossings(peer, site)
	const replies = peerReplies + ">"
	return Permission{
		Publish:   slices.Concat([]string{replies}, onLink(ours, true), onLink(theirs, false)),
		Subscribe: slices.Concat([]string{replies}, onLink(theirs, true), onLink(ours, false)),
	}
}
