package bus

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

// DeadLetter is a message that a service of this site refused for good.
type DeadLetter struct {
	Number  uint64 // in the stream of dead letters
	At      time.Time
	Service string
	// Subject is where it was sent, Reason why it was refused, as that was said then.
	Subject, Reason string
	// Header and Data are as they came, but for what NATS itself added.
	Header map[string][]string
	Data   []byte
}

// DeadLetters gives this site's, the oldest first.
func (c *Conn) DeadLetters(ctx context.Context) (out []DeadLetter, err error) {
	filter := subjects.Root + "dlq.v1." + string(c.site) + ".>"
	_, err = c.scan(ctx, subjects.StreamDeadLetters, filter, 1, func(m stored) error {
		out = append(out, c.deadLetterOf(m))
		return nil
	})
	return out, wrap(err, "read dead letters", string(c.site))
}

func (c *Conn) deadLetterOf(m stored) DeadLetter {
	d := DeadLetter{Number: m.seq, Data: m.data, Reason: m.header.Get(reasonHeader), Subject: m.header.Get(subjectHeader), Header: sentHeader(m.header)}
	d.At, _ = time.Parse(time.RFC3339Nano, m.header.Get("Nats-Time-Stamp")) // the zero time if the server says none
	d.Service = at(strings.Split(m.subject, "."), 4)
	delete(d.Header, reasonHeader)
	delete(d.Header, subjectHeader)
	return d
}

// Resend sends a dead letter again as a new command, with an id of its own, which it
// returns. Only a command to a service of this site is sent.
func (c *Conn) Resend(ctx context.Context, d DeadLetter) (id string, err error) {
	const op = "send dead letter again"
	if a, err := event.ParseSubject(d.Subject); err != nil || a.Family != event.Command || a.Site != c.site {
		return "", cdp.Errorf(cdp.Invalid, op, d.Subject, "this is not the subject of a command to a service of site %s", c.site)
	}
	e, err := c.open(d.Subject, d.Header, d.Data)
	if err != nil {
		return "", cdp.Wrap(err, op, d.Subject)
	}
	e.ID = NewID()
	header, data := event.Encode(e)
	header[nats.MsgIdHdr] = []string{e.ID}
	return e.ID, c.store(ctx, &nats.Msg{Subject: d.Subject, Header: header, Data: data}, op)
}

// DropDeadLetter removes one; NotFound.
func (c *Conn) DropDeadLetter(ctx context.Context, number uint64) error {
	return wrap(c.ask(ctx, subjects.API+".STREAM.MSG.DELETE."+subjects.StreamDeadLetters, map[string]uint64{"seq": number}, nil), "drop dead letter", string(c.site))
}
