package bus

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// Emit publishes an event of the connection's own site and returns once the
// stream has stored it. It checks the payload against its schema first.
func (c *Conn) Emit(ctx context.Context, p event.Payload) error {
	_, err := c.publish(ctx, NewID(), c.site, p, event.Fact)
	return err
}

// Command sends a command to a service of site. It returns the command's id once
// the site's stream has stored it. A site holds one pending command per
// service, verb and job or group: a second one is a Conflict.
func (c *Conn) Command(ctx context.Context, site cdp.Site, p event.Payload) (string, error) {
	return c.publish(ctx, NewID(), site, p, event.Command)
}

// NewID is an id for CommandAs.
func NewID() string { return ulid.Make().String() }

// CommandAs is Command under an id of the caller's, who may have to tell somebody
// about the command before it is sent. A command is sent under one id once.
func (c *Conn) CommandAs(ctx context.Context, id string, site cdp.Site, p event.Payload) error {
	_, err := c.publish(ctx, id, site, p, event.Command)
	return err
}

func (c *Conn) publish(ctx context.Context, id string, site cdp.Site, p event.Payload, family event.Family) (string, error) {
	op := map[event.Family]string{event.Fact: "emit event", event.Command: "send command"}[family]
	addr, err := event.AddressOf(p.EventType(), site, token(p.About()))
	if err != nil {
		return "", cdp.Wrap(err, op, p.EventType())
	}
	if family == event.Command && site != c.site && !slices.Contains(peerCommands[addr.Area], addr.Name) {
		return "", cdp.Errorf(cdp.Invalid, op, p.EventType(), "the service takes this command at its own site only, and this is site %s", c.site).
			WithHint("connect to site " + string(site))
	}
	if addr.Family != family {
		return "", cdp.Errorf(cdp.Invalid, op, p.EventType(), "the type is of the family %q", addr.Family)
	}
	e, err := event.New(id, time.Now(), c.source(), p)
	if err != nil {
		return "", err
	}
	if family == event.Fact {
		e = c.checks.Fit(e)
	}
	if err := c.checks.Check(e); err != nil {
		return "", cdp.Wrap(err, op, p.EventType())
	}
	header, data := event.Encode(e)
	header[nats.MsgIdHdr] = []string{e.ID}
	if c.who != "" && family == event.Command {
		header[whoHeader] = []string{c.who}
	}
	span := c.tel.Send(ctx, telemetry.Message{Subject: addr.Subject(), Template: addr.Template(), ID: e.ID, Data: data}, header)
	err = c.store(ctx, &nats.Msg{Subject: addr.Subject(), Header: header, Data: data}, op)
	span.End(err)
	return e.ID, err
}

// store publishes to a stream and waits for the acknowledgement. The message id makes a
// repeat after a lost answer harmless.
func (c *Conn) store(ctx context.Context, m *nats.Msg, op string) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, answerTimeout)
		defer cancel()
	}
	var err error
	for {
		once, cancel := context.WithTimeout(ctx, answerTimeout)
		_, err = c.js.PublishMsg(once, m, jetstream.WithRetryAttempts(2))
		cancel()
		// An answer that was lost with a connection must not take all the time there is.
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil || m.Header.Get(nats.MsgIdHdr) == "" {
			break
		}
	}
	var js2 jetstream.JetStreamError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse):
		e := &cdp.Error{Op: op, Kind: cdp.Transient, Subject: m.Subject, Cause: err}
		return e.WithHint("no stream stores this subject: check that the site is set up and that the link to it is up")
	case errors.As(err, &js2) && js2.APIError() != nil && int(js2.APIError().ErrorCode) == codeStoreFailed && isPerSubject(js2):
		e := &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: m.Subject, Cause: errPending}
		return e.WithHint("check that the service runs (tidemark status); the pending command is retried automatically")
	}
	return wrap(err, op, m.Subject)
}

var errPending = errors.New("the same command is still pending: its service has not finished it")

// IsPending reports whether a command was refused because the same command is
// still pending. That usually clears within moments.
func IsPending(err error) bool { return errors.Is(err, errPending) }

func isPerSubject(e jetstream.JetStreamError) bool {
	return e.APIError().Description == "maximum messages per subject exceeded"
}
