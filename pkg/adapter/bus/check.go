package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

const (
	// waitsLong is after how long a command that nobody has settled is a problem: longer
	// than a service takes to start.
	waitsLong = time.Minute
	// silentLong is after how long a copy that was not in touch with its origin is one.
	silentLong = 15 * time.Second
	// nearlyFull is the part of a stream's limit from which on it may soon refuse.
	nearlyFull = 0.9
)

const applyHint = "have it made as declared: tidemark bus apply"

// Check looks at all streams and consumers of the connection's site: what they hold, what
// waits, how far the copies of peers are behind, and what is not as declared. It changes
// nothing.
func Check(ctx context.Context, conn *Conn, peers []cdp.Site) ([]api.BusPart, error) {
	wrong, err := Differences(ctx, conn, peers)
	if err != nil {
		return nil, err
	}
	c := checked{now: time.Now(), site: conn.site}
	streams := conn.js.ListStreams(ctx)
	for info := range streams.Info() {
		c.stream(info)
	}
	if err := streams.Err(); err != nil {
		return nil, wrap(err, "list streams", string(conn.site))
	}
	for _, want := range declare(conn.site, peers).consumers {
		info, err := conn.consumerInfo(ctx, want.stream, want.Durable)
		if err != nil {
			return nil, err
		}
		if info != nil {
			c.consumer(want.stream, info)
		}
	}
	for _, d := range wrong {
		p := c.part(d.What, d.Name)
		p.Problems, p.Hint = append(p.Problems, d.Text), applyHint
	}
	out := make([]api.BusPart, len(c.parts))
	for i, p := range c.parts {
		out[i] = *p
	}
	return out, nil
}

// checked gathers what a check sees.
type checked struct {
	now   time.Time
	site  cdp.Site
	parts []*api.BusPart
	// oldest is when the oldest command that waits was stored.
	oldest time.Time
}

// part is the part of that name.
func (c *checked) part(what, name string) *api.BusPart {
	for _, p := range c.parts {
		if p.What == what && p.Name == name {
			return p
		}
	}
	p := &api.BusPart{What: what, Name: name}
	c.parts = append(c.parts, p)
	return p
}

func (c *checked) stream(info *jetstream.StreamInfo) {
	p := c.part("stream", info.Config.Name)
	p.Messages, p.Bytes = info.State.Msgs, info.State.Bytes
	switch {
	case info.Config.Name == subjects.StreamCommands && info.State.Msgs > 0:
		c.oldest = info.State.FirstTime
	case info.Config.Name == subjects.StreamDeadLetters && info.State.Msgs > 0:
		p.Problems, p.Hint = []string{fmt.Sprintf("%d messages were refused", info.State.Msgs)}, "see: tidemark deadletter list"
	}
	if limit := info.Config.MaxBytes; info.Config.Discard == jetstream.DiscardNew && limit > 0 && float64(info.State.Bytes) > nearlyFull*float64(limit) {
		p.Problems = append(p.Problems, fmt.Sprintf("it holds %d of %d bytes, and takes nothing when it is full", info.State.Bytes, limit))
	}
	for _, s := range info.Sources {
		p := c.part("copy", info.Config.Name)
		p.Waiting, p.Heard = s.Lag, s.Active
		if s.Active < 0 || s.Active > silentLong {
			p.Problems, p.Hint = []string{"its origin is silent"}, "is the other site up, and the link? see: tidemark status"
		}
	}
}

func (c *checked) consumer(stream string, info *jetstream.ConsumerInfo) {
	p := c.part("consumer", stream+"/"+info.Name)
	p.Waiting = info.NumPending + uint64(max(0, info.NumAckPending))
	if stream == subjects.StreamCommands && p.Waiting > 0 && c.now.Sub(c.oldest) > waitsLong {
		p.Problems = []string{fmt.Sprintf("%d commands wait, the oldest of this site for %s", p.Waiting, c.now.Sub(c.oldest).Round(time.Second))}
		p.Hint = "does the service run? see: tidemark health " + info.Name
	}
}
