package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
)

// FreeCommands looks, every so often until ctx ends, for commands of the connection's
// site that are stored and that their service will never get, and has them delivered
// again.
//
// The server keeps a stream and a consumer's place in it apart. After a full disk, or
// a crash, the place may be past commands that were not handled: the acknowledgement
// of one could not remove it, or the stream lost its newest messages and gives their
// numbers out anew. Nothing reports such a command, and for a day it blocks the next
// one of its subject: a job would get no recovery point until then.
func FreeCommands(ctx context.Context, conn *Conn, every time.Duration) error {
	suspect := map[string]uint64{}
	for {
		for _, service := range subjects.Services() {
			if err := conn.freeCommands(ctx, service, suspect); err != nil && ctx.Err() == nil && !isLink(err) {
				conn.notify(Notice{What: "commands not checked", Err: wrap(err, "check commands", service)})
			}
		}
		if err := clock.Sleep(ctx, clock.System, every); err != nil {
			return err
		}
	}
}

// freeCommands looks at the commands to a service. suspect has, by service, the oldest
// command of the last look at which some were out of reach: one look may fall between
// an acknowledgement and what it does.
func (c *Conn) freeCommands(ctx context.Context, service string, suspect map[string]uint64) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	was := suspect[service]
	delete(suspect, service)
	filter := subjects.CommandSubject(c.site, service, "*", "*")
	oldest, err := c.oldest(ctx, filter)
	if oldest == 0 || err != nil {
		return err
	}
	stored, err := c.storedCommands(ctx, filter)
	if err != nil {
		return err
	}
	consumer, err := c.js.Consumer(ctx, subjects.StreamCommands, service)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // the service has never run, and gets them when it does
	}
	if err != nil {
		return err
	}
	at := consumer.CachedInfo()
	if stored <= at.NumPending+uint64(max(0, at.NumAckPending)) {
		return nil
	}
	if was != oldest {
		suspect[service] = oldest
		return nil
	}
	c.notify(Notice{What: "commands freed", Err: cdp.Errorf(cdp.Corrupt, "check commands", service,
		"the server has %d, and knows of %d that are to be delivered: all are delivered again", stored, at.NumPending+uint64(at.NumAckPending))})
	return c.ask(ctx, fmt.Sprintf("%s.CONSUMER.RESET.%s.%s", subjects.API, subjects.StreamCommands, service), map[string]uint64{"seq": oldest}, nil)
}

// oldest is the number of the oldest stored command of a subject; 0 if there is none.
func (c *Conn) oldest(ctx context.Context, filter string) (uint64, error) {
	s, err := c.js.Stream(ctx, subjects.StreamCommands)
	if err != nil {
		return 0, err
	}
	m, err := s.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(filter))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return m.Sequence, nil
}

// storedCommands is how many commands of a subject are stored.
func (c *Conn) storedCommands(ctx context.Context, filter string) (n uint64, err error) {
	s, err := c.js.Stream(ctx, subjects.StreamCommands)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return 0, err
	}
	for _, k := range info.State.Subjects {
		n += k
	}
	return n, nil
}
