package bus

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/contract/subjects"
)

// Streams are read by number, and what is new is announced by the server. A consumer
// would be simpler, but whoever may make one chooses where its messages go: past all
// permissions into any stream of the account.

const (
	// scanBatch and scanBytes bound what one request asks for.
	scanBatch = 512
	scanBytes = 4 << 20
	// lookAgain is how often a follower looks for what it was not told of, because the
	// announcement was lost.
	lookAgain = 5 * time.Second
)

// stored is one message of a stream.
type stored struct {
	subject string
	seq     uint64
	header  nats.Header
	data    []byte
}

// scan calls fn with the messages of a stream that match filter, from number from on
// and in order. It gives the number to go on with.
func (c *Conn) scan(ctx context.Context, stream, filter string, from uint64, fn func(stored) error) (next uint64, err error) {
	sub, err := c.nc.SubscribeSync(c.nc.NewInbox())
	if err != nil {
		return from, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	for {
		before := from
		more, err := c.scanSome(ctx, sub, stream, filter, &from, fn)
		if err != nil || !more || from == before {
			return from, err
		}
	}
}

// scanSome is one request of a scan.
func (c *Conn) scanSome(ctx context.Context, sub *nats.Subscription, stream, filter string, from *uint64, fn func(stored) error) (more bool, err error) {
	request, _ := json.Marshal(map[string]any{"seq": *from, "next_by_subj": filter, "batch": scanBatch, "max_bytes": scanBytes})
	if err := c.nc.PublishRequest(subjects.API+".DIRECT.GET."+stream, sub.Subject, request); err != nil {
		return false, err
	}
	for last := "0"; ; {
		wait, cancel := context.WithTimeout(ctx, askTimeout)
		m, err := sub.NextMsgWithContext(wait)
		cancel()
		if err != nil {
			return false, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204":
			return m.Header.Get("Nats-Num-Pending") != "0", nil
		case "404": // none is left
			return false, nil
		case "503":
			return false, nats.ErrNoResponders
		default:
			return false, errors.New("bus: " + status + " " + m.Header.Get("Description"))
		}
		if m.Header.Get("Nats-Last-Sequence") != last {
			return false, nats.ErrTimeout // one before it was lost on the way
		}
		last = m.Header.Get("Nats-Sequence")
		seq, err := strconv.ParseUint(last, 10, 64)
		if err != nil {
			return false, err
		}
		if err := fn(stored{m.Header.Get("Nats-Subject"), seq, m.Header, m.Data}); err != nil {
			return false, err
		}
		*from = seq + 1
	}
}

// follow is a scan that goes on with what is stored later, until ctx ends or fn
// fails. caughtUp, if not nil, is called once, when all that was there was scanned.
func (c *Conn) follow(ctx context.Context, stream, filter string, from uint64, caughtUp func() error, fn func(stored) error) error {
	news := make(chan struct{}, 1)
	sub, err := c.nc.Subscribe(subjects.Stored(filter), func(*nats.Msg) {
		select {
		case news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	up := c.nc.StatusChanged(nats.CONNECTED)
	defer c.nc.RemoveStatusListener(up)
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		if from, err = c.scan(ctx, stream, filter, from, fn); err != nil {
			return err
		}
		if caughtUp != nil {
			if err := caughtUp(); err != nil {
				return err
			}
			caughtUp = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		case <-again.C:
		case _, ok := <-up:
			if !ok {
				return nats.ErrConnectionClosed
			}
		}
	}
}
