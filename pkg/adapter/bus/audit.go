package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

// whoHeader names the person for whom a command or request is sent, as the sender says.
const whoHeader = "Tidemark-Who"

// recorded are the requests that change what a site keeps, by service. What services ask
// of each other to carry out a command is not among them: the command is recorded.
var recorded = map[string][]string{
	subjects.Scheduler:    {api.JobApply, api.JobDelete, api.JobReprotect, api.JobApprove},
	subjects.Journal:      {api.JournalEditPoint},
	subjects.Failover:     {api.FailoverStart, api.FailoverUnfence, api.FailoverPolicy, api.FailoverCheck},
	subjects.Orchestrator: {api.PlanApply, api.PlanDelete},
	subjects.Setup:        {api.BusApply},
	subjects.VCenter: {
		api.SiteApply, api.SiteDelete, api.VMJobRun, api.VMJobStop, api.VMJobDelete,
		api.FilterChange, api.TransporterDeploy, api.TransporterRemove, api.VMSetPower, api.VMGuestScript,
	},
}

// auditor records what a service was asked, in the site's stream of records. A record
// that cannot be stored is reported, and stops nothing: a failover is worth more.
type auditor struct {
	mu sync.Mutex
	// said are the newest requests with their outcomes: who waits for a request to be
	// done asks it again and again, which is one record.
	said map[string]time.Time
}

// sayAgain is after how long a request that is asked again is recorded again.
const sayAgain = 10 * time.Minute

// news reports whether something was not recorded lately.
func (a *auditor) news(what string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, said := a.said[what]; said && time.Since(at) < sayAgain {
		return false
	}
	if len(a.said) >= 1000 || a.said == nil {
		a.said = map[string]time.Time{}
	}
	a.said[what] = time.Now()
	return true
}

// recordCommand records a command that is settled, and with which error.
func (c *Conn) recordCommand(ctx context.Context, service, subject string, header nats.Header, data []byte, e event.Event, err error) {
	if p, bad := e.Typed(); bad == nil {
		if m, is := p.(*event.CaptureMark); is && !m.Requested {
			return // the cadence's: nobody asked for it
		}
	}
	verb, id := verbAndID(subject)
	r := api.AuditRecord{Service: service, What: verb, About: id, ID: e.ID, From: cmp.Or(e.Source, "unknown"), Who: header.Get(whoHeader), Input: string(data)}
	senders := commanders(service, verb)
	if r.Claimed = len(senders) != 1 || slices.Contains(peerCommands[service], verb); !r.Claimed {
		r.From = c.roleHere(senders[0])
	}
	c.record(ctx, r, err)
}

func (c *Conn) roleHere(role string) string { return "/" + string(c.site) + "/" + role }

// sender is where a request came from, and whether only its caller says so. What comes
// over a link has an answer's subject that no user of the site can name.
func (c *Conn) sender(service string, r *nats.Msg) (from string, claimed bool) {
	if strings.HasPrefix(r.Reply, peerReplies) {
		return "a linked site", false
	}
	if may := callers(service, endpointOf(r)); len(may) == 1 {
		return c.roleHere(may[0]), false
	}
	role, _, _ := strings.Cut(strings.TrimPrefix(r.Reply, InboxPrefix("")), ".")
	return c.roleHere(role), true
}

// recordRequest records a request that was answered, if it is one that changes something.
func (c *Conn) recordRequest(ctx context.Context, service string, r *nats.Msg, data []byte, out any, err error) {
	endpoint := endpointOf(r)
	if !slices.Contains(recorded[service], endpoint) {
		return
	}
	var in struct {
		DryRun                       bool
		Group, Job, Name, Site, Plan string
		Document                     struct{ Metadata struct{ Name string } }
	}
	_ = json.Unmarshal(data, &in) // what it cannot read is refused, and recorded as it came
	if in.DryRun {
		return
	}
	if a, is := out.(api.ApplyReply); is && err == nil && len(a.Problems) > 0 {
		err = cdp.Errorf(a.Problems[0].Kind, "apply", a.Name, "%s", a.Problems[0])
	}
	from, claimed := c.sender(service, r)
	x := api.AuditRecord{Service: service, What: endpoint, From: from, Claimed: claimed, Who: r.Header.Get(whoHeader), Input: string(data),
		About: cmp.Or(in.Document.Metadata.Name, in.Group, in.Job, in.Plan, in.Name, in.Site)}
	if c.audit.news(endpoint + " " + x.From + " " + x.Who + " " + x.Input + " " + outcome(err)) {
		c.record(ctx, x, err)
	}
}

func outcome(err error) string {
	if err == nil || cdp.Is(err, cdp.Duplicate) {
		return api.AuditDone
	}
	return api.AuditRefused
}

// bounded is r with no text longer than a record has, whoever wrote it.
func bounded(r api.AuditRecord) api.AuditRecord {
	for _, s := range []*string{&r.Service, &r.What, &r.About, &r.ID, &r.From, &r.Who, &r.Outcome, (*string)(&r.Kind)} {
		*s = cut(*s, 200)
	}
	r.Reason, r.Input = cut(r.Reason, 1000), cut(r.Input, api.AuditInput)
	return r
}

// record stores a record. Nobody but the service may publish under its name, and nothing
// can be removed from the stream but by its limits.
func (c *Conn) record(ctx context.Context, r api.AuditRecord, err error) {
	r.At, r.Site, r.Outcome = time.Now().UTC(), c.site, outcome(err)
	if r.Outcome == api.AuditRefused {
		r.Kind, r.Reason = cdp.KindOf(err), err.Error()
	}
	r = bounded(r)
	if err := c.keep(r); err != nil {
		c.notify(Notice{What: "not recorded", Err: err})
	}
	data, _ := json.Marshal(r) // a struct of strings
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	m := &nats.Msg{Subject: subjects.AuditSubject(c.site, r.Service, token(r.What)), Data: data, Header: nats.Header{}}
	if r.ID != "" { // a command may come again before it is settled
		m.Header.Set(nats.MsgIdHdr, r.What+" "+r.ID+" "+r.Outcome)
	}
	if err := c.store(ctx, m, "record what was asked"); err != nil {
		c.notify(Notice{What: "not recorded", Err: err})
	}
}

// auditEvery is how often it is looked for new records of a peer.
const auditEvery = time.Second

// FollowAudit calls fn with each record of a peer that its copy here has, and with each
// that comes, until ctx ends; with all again after the copy was made anew. fn's errors are
// reported to Config.Notify, and the record is tried again.
func (c *Conn) FollowAudit(ctx context.Context, peer cdp.Site, fn func(api.AuditRecord) error) error {
	const op = "follow audit records"
	stream := subjects.PeerAudit(peer)
	next := uint64(1)
	for {
		info, err := c.streamInfo(ctx, stream)
		if err == nil && info != nil {
			if info.State.LastSeq+1 < next {
				next = 1
			}
			next, err = c.scan(ctx, stream, subjects.AuditSubject(peer, "*", "*"), next, func(m stored) error {
				var r api.AuditRecord
				if json.Unmarshal(m.data, &r) != nil || r.Site != peer {
					return nil // nothing that a site's services wrote
				}
				return fn(bounded(r))
			})
		}
		if err != nil && ctx.Err() == nil {
			c.notify(Notice{What: "records of a peer not kept", Err: wrap(err, op, stream)})
		}
		if err := clock.Sleep(ctx, clock.System, auditEvery); err != nil {
			return err
		}
	}
}

// Audit calls fn for each record of a site that the connection's own has, oldest first:
// its own, or those that it has copied from a peer.
func (c *Conn) Audit(ctx context.Context, of cdp.Site, fn func(api.AuditRecord) error) error {
	const op = "read audit records"
	stream := subjects.StreamAudit
	if of != c.site {
		stream = subjects.PeerAudit(of)
	}
	_, err := c.scan(ctx, stream, subjects.AuditSubject(of, "*", "*"), 1, func(m stored) error {
		var r api.AuditRecord
		if err := json.Unmarshal(m.data, &r); err != nil {
			return cdp.Errorf(cdp.Corrupt, op, stream, "record %d: %v", m.seq, err)
		}
		return fn(r)
	})
	return wrap(err, op, stream)
}
