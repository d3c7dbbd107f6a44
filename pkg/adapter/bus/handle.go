package bus

import (
	"context"
	"errors"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
)

const (
	// handleTime is how long a handler may be silent; it is extended while the
	// handler runs, so it only bounds how soon a dead service's command comes
	// again.
	handleTime = 5 * time.Second
	// backoffMin and backoffMax bound the wait between attempts of a Transient
	// failure.
	backoffMin = 500 * time.Millisecond
	backoffMax = 30 * time.Second
	// reasonHeader carries why a message was refused, in the dead letters.
	reasonHeader  = "Tidemark-Reason"
	subjectHeader = "Tidemark-Subject"
)

// Handler handles one command. The kind of its error decides what happens:
//
//	nil, Duplicate   done
//	Transient, Full  retried with back-off, without end
//	Invalid          refused, kept as a dead letter
//	any other        refused
//
// Refused means that an event command.refused gives the reason. A command may come
// twice: a handler is idempotent by the event's ID.
type Handler = func(ctx context.Context, e event.Event) error

// HandleCommands handles the commands to a service of the connection's site,
// one at a time and in order, retries aside, until ctx is done. Unhandled commands
// stay in the stream across restarts of the service and of the server. A command
// that fails its schema does not reach its handler.
func (c *Conn) HandleCommands(ctx context.Context, service string, handlers map[string]Handler) error {
	const op = "handle commands"
	for {
		cons, err := c.js.Consumer(ctx, subjects.StreamCommands, service)
		if err == nil {
			err = c.handleFrom(ctx, service, cons, handlers)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !isLink(err) && !errors.Is(err, errAgain) {
			return wrap(err, op, service)
		}
		if err := clock.Sleep(ctx, clock.System, retryMax); err != nil {
			return err
		}
	}
}

func (c *Conn) handleFrom(ctx context.Context, service string, cons jetstream.Consumer, handlers map[string]Handler) error {
	it, err := cons.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return err
	}
	defer c.giveBack(it)
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = m.Nak() // else it comes again after handleTime
			}
			return ctx.Err()
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			continue // it asks again by itself
		case err != nil:
			c.notify(Notice{What: "commands interrupted", Err: wrap(err, "receive commands", service)})
			return errAgain
		}
		if err := c.handle(ctx, service, m, handlers); err != nil {
			c.notify(Notice{What: "command not settled", Err: err})
		}
	}
}

// giveBack stops it and returns the messages it had prefetched to the stream at
// once, so that the next service to start need not wait for them.
func (c *Conn) giveBack(it jetstream.MessagesContext) {
	if !c.nc.IsConnected() {
		it.Stop()
		return
	}
	it.Drain()
	for {
		m, err := it.Next(jetstream.NextMaxWait(time.Second))
		if err != nil {
			break
		}
		_ = m.Nak() // else it comes again after handleTime
	}
	it.Stop()
	_ = c.nc.FlushTimeout(time.Second) // the server must know before the caller goes on
}

// handle settles one command. An error is one of the bus; the command is then
// delivered again.
func (c *Conn) handle(ctx context.Context, service string, m jetstream.Msg, handlers map[string]Handler) error {
	md, err := m.Metadata()
	if err != nil {
		return wrap(err, "read command", m.Subject())
	}
	e, herr := c.open(m.Subject(), m.Headers(), m.Data())
	addr, _ := event.ParseSubject(m.Subject())
	mctx, span := c.tel.Process(ctx, telemetry.Message{Subject: m.Subject(), Template: addr.Template(), ID: e.ID, Group: service, Data: e.Data}, m.Headers())
	if herr == nil {
		if h := handlers[addr.Name]; h != nil {
			herr = c.run(mctx, m, e, h)
		} else {
			herr = cdp.Errorf(cdp.Invalid, "handle command", e.Type, "the service %s has no such command", service)
		}
	}
	span.End(herr)
	if ctx.Err() != nil && herr != nil {
		return wrap(m.NakWithDelay(0), "give command back", m.Subject()) // the service stops
	}
	switch kind := cdp.KindOf(herr); {
	case herr == nil || kind == cdp.Duplicate:
		c.recordCommand(mctx, service, m.Subject(), m.Headers(), m.Data(), e, herr)
		return wrap(m.DoubleAck(ctx), "acknowledge command", m.Subject())
	case kind == cdp.Transient || kind == cdp.Full:
		c.notify(Notice{What: "command will be retried", Err: herr, Trace: telemetry.TraceID(mctx)})
		return wrap(m.NakWithDelay(backoff(md.NumDelivered)), "put command back", m.Subject())
	case kind == cdp.Invalid:
		if err := c.deadLetter(ctx, service, m, herr); err != nil {
			c.notify(Notice{What: "dead letter not kept", Err: err})
		}
	}
	c.recordCommand(mctx, service, m.Subject(), m.Headers(), m.Data(), e, herr)
	// What cannot be reported is settled all the same: else it would come again for
	// ever, and enough of it would stop the service.
	if err := c.refuse(mctx, e, m.Subject(), herr); err != nil {
		c.notify(Notice{What: "refusal not reported", Err: err})
	}
	c.notify(Notice{What: "command refused", Err: herr, Trace: telemetry.TraceID(mctx)})
	return wrap(m.DoubleAck(ctx), "acknowledge command", m.Subject())
}

// open decodes a message by its headers and checks it against its schema. Bare
// JSON gets its attributes from the subject.
func (c *Conn) open(subject string, header nats.Header, data []byte) (event.Event, error) {
	addr, err := event.ParseSubject(subject)
	if err != nil {
		return event.Event{}, err
	}
	e, err := event.Decode(header, data)
	if err != nil {
		return e, err
	}
	if e.Type == "" {
		e.Type, e.Subject, e.Source = addr.Type(), addr.ID, "unknown"
		if e.ID = header.Get(nats.MsgIdHdr); e.ID == "" {
			e.ID = ulid.Make().String()
		}
	}
	if e.Type != addr.Type() {
		return e, cdp.Errorf(cdp.Invalid, "check", "type", "%q came on the subject of %q", e.Type, addr.Type())
	}
	if err := c.checks.Check(e); err != nil {
		return e, err
	}
	p, err := e.Typed()
	if err != nil {
		return e, err
	}
	if token(p.About()) != addr.ID {
		return e, cdp.Errorf(cdp.Invalid, "check", "subject", "%q came on the subject of %q", p.About(), addr.ID)
	}
	return e, nil
}

// run runs the handler and keeps the command's delivery alive meanwhile.
func (c *Conn) run(ctx context.Context, m jetstream.Msg, e event.Event, h Handler) error {
	done := make(chan struct{})
	quit := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(handleTime / 3)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				_ = m.InProgress() // if it fails the command comes again; handlers are idempotent
			}
		}
	}()
	defer func() { close(quit); <-done }()
	return h(ctx, e)
}

// deadLetter keeps a refused message as it came, with the reason. Its subject has a
// fixed number of tokens, whatever the command's has, and is one that the service may
// publish to.
func (c *Conn) deadLetter(ctx context.Context, service string, m jetstream.Msg, why error) error {
	header := sentHeader(m.Headers())
	header.Set(reasonHeader, oneLine(why.Error()))
	header.Set(subjectHeader, m.Subject())
	verb, id := verbAndID(m.Subject())
	subject := subjects.Root + "dlq.v1." + string(c.site) + "." + service + "." + token(verb) + "." + token(id)
	return c.store(ctx, &nats.Msg{Subject: subject, Header: header, Data: m.Data()}, "keep dead letter")
}

// sentHeader is a copy of a header without what NATS itself added.
func sentHeader(h nats.Header) nats.Header {
	out := nats.Header{}
	for k, v := range h {
		if !strings.HasPrefix(k, "Nats-") {
			out[k] = v
		}
	}
	return out
}

// verbAndID are what follows the service in a command's subject. The id of a subject
// with too many tokens is all the rest of it.
func verbAndID(subject string) (verb, id string) {
	parts := strings.SplitN(subject, ".", 7)
	return at(parts, 5), at(parts, 6)
}

func at(parts []string, i int) string {
	if i < len(parts) {
		return cut(parts[i], 200)
	}
	return ""
}

// refuse emits command.refused. A subject that is none of a command's is named as it is.
func (c *Conn) refuse(ctx context.Context, e event.Event, subject string, why error) error {
	command := subject
	if a, err := event.ParseSubject(subject); err == nil {
		command = a.Type()
	}
	_, id := verbAndID(subject)
	if id != "" {
		id = token(id)
	}
	r := event.CommandRefused{Command: cut(command, 200), ID: cut(e.ID, 200), Name: cut(id, 200), Kind: cdp.KindOf(why), Reason: cut(why.Error(), 4000), Hint: cut(cdp.HintOf(why), 500)}
	if r.ID == "" {
		r.ID = "unknown"
	}
	return c.Emit(ctx, r)
}

// backoff is the wait before a command is delivered again, by its deliveries so
// far.
func backoff(deliveries uint64) (wait time.Duration) {
	b := clock.Backoff{Min: backoffMin, Max: backoffMax}
	for range min(deliveries, 16) {
		wait = b.Next()
	}
	return wait
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// oneLine makes s fit for a header.
func oneLine(s string) string {
	b := []byte(cut(s, 4000))
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = ' '
		}
	}
	return string(b)
}
