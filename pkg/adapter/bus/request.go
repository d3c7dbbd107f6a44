package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// maxRequests is how many requests one service answers at once.
const maxRequests = 32

// answerTime is how long after a request from a peer its answer may come: a vCenter is
// slow.
const answerTime = 40 * time.Second

// Serve answers requests to a service of the connection's site until ctx is
// done, several at once, and returns after the last answer is sent.
func (c *Conn) Serve(ctx context.Context, service string, endpoints map[string]api.Endpoint) error {
	const op = "serve requests"
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxRequests)
	handlers := map[string]nats.MsgHandler{}
	for name, fn := range endpoints {
		template := subjects.Root + "api.v1.{site}." + service + "." + name
		answerable := c.audience(service, name)
		handlers[name] = func(r *nats.Msg) {
			if !answerable(r.Reply) {
				c.sent(cdp.Errorf(cdp.Invalid, "answer", r.Reply, "an answer goes to an inbox of a role that may ask for it, and this is none"), template)
				return
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer func() { <-slots }()
				c.answer(ctx, template, service, r, fn)
			})
		}
	}
	stop, err := c.listenAt(service, handlers)
	if err == nil {
		var presence *nats.Subscription
		if presence, err = c.nc.Subscribe(subjects.PresenceSubject(c.site, service), func(*nats.Msg) {}); err == nil {
			<-ctx.Done()
			_ = presence.Unsubscribe()
		}
	}
	stopped := stop()
	wg.Wait()
	switch {
	case err != nil:
		return wrap(err, op, service)
	case stopped != nil && !errors.Is(stopped, nats.ErrConnectionClosed):
		return wrap(stopped, op, service)
	}
	return ctx.Err()
}

// remoteError is a cdp.Error on its way in a reply.
type remoteError struct {
	Op      string   `json:"op"`
	Kind    cdp.Kind `json:"kind"`
	Subject string   `json:"subject,omitempty"`
	Cause   string   `json:"cause,omitempty"`
	Hint    string   `json:"hint,omitempty"`
}

// peerReplies begins the subjects at which answers to requests of peers are expected: the
// server makes one for each request that passes between accounts.
const peerReplies = "_R_."

// audience tells which subjects a service may send the answers of an endpoint to: inboxes
// of the roles that may ask for it. An answer to any other would be published with the
// service's permissions wherever its caller wants. The server allows the service only the
// inboxes of all its callers, whatever the endpoint. Its own are always among them.
func (c *Conn) audience(service, endpoint string) func(reply string) bool {
	var inboxes []string
	for _, role := range append(callers(service, endpoint), service) {
		inboxes = append(inboxes, InboxPrefix(role)+".")
	}
	if slices.Contains(peerEndpoints[service], endpoint) {
		inboxes = append(inboxes, peerReplies)
	}
	if c.anybody {
		inboxes = []string{InboxPrefix(""), "_INBOX.", peerReplies} // anybody may ask for everything
	}
	return func(reply string) bool {
		return slices.ContainsFunc(inboxes, func(inbox string) bool { return strings.HasPrefix(reply, inbox) })
	}
}

// content is the JSON of a request, which may come as a CloudEvent, as commands do.
func content(service string, r *nats.Msg) ([]byte, error) {
	if len(r.Data) == 0 {
		return nil, nil
	}
	e, err := event.Decode(r.Header, r.Data)
	if err != nil {
		return r.Data, err
	}
	if want := subjects.RequestType(service, endpointOf(r)); e.Type != "" && e.Type != want {
		return r.Data, cdp.Errorf(cdp.Invalid, "read request", "type", "%q came on the subject of %q", e.Type, want)
	}
	return e.Data, nil
}

// allowed refuses a request that its schema refuses, and names each field that is wrong.
// No request at all is up to the endpoint.
func (c *Conn) allowed(service string, r *nats.Msg, in []byte) error {
	if len(in) == 0 {
		return nil
	}
	name := subjects.RequestType(service, endpointOf(r))
	problems, err := c.checks.Problems(event.SchemaPath(name), in)
	if cdp.Is(err, cdp.NotFound) {
		return nil // an endpoint without a schema
	}
	if err != nil {
		return err
	}
	return event.Refusal(name, problems)
}

// endpointOf is the endpoint that a request is for.
func endpointOf(r *nats.Msg) string {
	return r.Subject[strings.LastIndexByte(r.Subject, '.')+1:]
}

func (c *Conn) answer(ctx context.Context, template, service string, r *nats.Msg, fn api.Endpoint) {
	ctx, span := c.tel.Answer(ctx, telemetry.Message{Subject: r.Subject, Template: template, Group: service, Data: r.Data}, r.Header)
	var out any
	in, err := content(service, r)
	if err == nil {
		err = c.allowed(service, r, in)
	}
	if err == nil {
		out, err = fn(ctx, in)
	}
	span.End(err)
	c.recordRequest(ctx, service, r, in, out, err)
	if err == nil {
		var data []byte
		if data, err = json.Marshal(out); err == nil {
			var parts []*nats.Msg
			if parts, err = c.parts(r, data); err == nil {
				for _, m := range parts {
					c.sent(c.nc.PublishMsg(m), template)
				}
				return
			}
		}
	}
	re := remoteError{Op: "answer", Kind: cdp.KindOf(err), Cause: err.Error(), Hint: cdp.HintOf(err)}
	var e *cdp.Error
	if errors.As(err, &e) {
		re.Op, re.Subject, re.Cause = e.Op, e.Subject, ""
		if e.Cause != nil {
			re.Cause = e.Cause.Error()
		}
	}
	data, _ := json.Marshal(re) // a struct of strings
	m := nats.NewMsg(r.Reply)
	m.Header.Set(micro.ErrorHeader, oneLine(err.Error()))
	m.Header.Set(micro.ErrorCodeHeader, string(re.Kind))
	m.Data = data
	c.sent(c.nc.PublishMsg(m), template)
}

func (c *Conn) sent(err error, template string) {
	if err != nil {
		c.notify(Notice{What: "answer lost", Err: wrap(err, "answer", template)})
	}
}

// longestAnswer bounds each request, whatever time its caller has: an answer that is lost
// because its service was killed must not take all of it. Every service answers sooner;
// what takes longer is answered with its progress, and asked for again.
const longestAnswer = time.Minute

// Request asks a service of site. in is sent as JSON, nil as nothing; the
// answer is decoded into out, unless that is nil. An error of the service comes
// back as the cdp.Error it was; its cause is text. Transient: no answer came within ctx,
// or within a minute; without a deadline in ctx, within 5 s.
func (c *Conn) Request(ctx context.Context, site cdp.Site, service, endpoint string, in, out any) error {
	op := "ask " + service
	if site != c.site && !slices.Contains(peerEndpoints[service], endpoint) {
		return cdp.Errorf(cdp.Invalid, op, endpoint, "the service answers this at its own site only, and this is site %s", c.site).
			WithHint("connect to site " + string(site))
	}
	subject := subjects.RequestSubject(site, service, endpoint)
	m := &nats.Msg{Subject: subject, Header: nats.Header{}}
	if c.who != "" {
		m.Header.Set(whoHeader, c.who)
	}
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: endpoint, Cause: err}
		}
		m.Data = data
	}
	limit := c.longestAnswer
	if _, has := ctx.Deadline(); !has {
		limit = ackTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	span := c.tel.Ask(ctx, telemetry.Message{Subject: subject, Data: m.Data, Template: subjects.Root + "api.v1.{site}." + service + "." + endpoint}, m.Header)
	err := c.request(ctx, m, op, site, service, endpoint, out)
	span.End(err)
	return err
}

func (c *Conn) request(ctx context.Context, m *nats.Msg, op string, site cdp.Site, service, endpoint string, out any) error {
	presence := ""
	if site != c.site {
		presence = subjects.PresenceSubject(site, service)
	}
	reply, err := c.exchange(ctx, m, presence)
	if errors.Is(err, nats.ErrNoResponders) {
		e := cdp.Errorf(cdp.Transient, op, endpoint, "nobody answers at site %s", site)
		return e.WithHint(fmt.Sprintf("the service %s is not running at site %s, or the link to it is down", service, site))
	}
	if err != nil {
		return wrap(err, op, endpoint)
	}
	if reply.Header.Get(micro.ErrorCodeHeader) != "" {
		var re remoteError
		if err := json.Unmarshal(reply.Data, &re); err != nil || re.Kind == "" {
			return cdp.Errorf(cdp.Internal, op, endpoint, "%s", reply.Header.Get(micro.ErrorHeader))
		}
		e := &cdp.Error{Op: re.Op, Kind: re.Kind, Subject: re.Subject, Hint: re.Hint}
		if re.Cause != "" {
			e.Cause = errors.New(re.Cause)
		}
		return e
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(reply.Data, out); err != nil {
		return &cdp.Error{Op: op, Kind: cdp.Internal, Subject: endpoint, Cause: err}
	}
	return nil
}
