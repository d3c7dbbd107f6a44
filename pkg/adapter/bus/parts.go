package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/cdp"
)

// An answer that is longer than a message is sent in parts, in order, if the
// request says that the client reassembles them.
const (
	partsHeader = "Tidemark-Takes-Parts" // of a request: "yes"
	partHeader  = "Tidemark-Part"        // of an answer: "3/5"
	partsMax    = 32
	// partRoom is what a part leaves to its header.
	partRoom = 1 << 10
)

// parts are the messages that an answer goes out in.
func (c *Conn) parts(r *nats.Msg, data []byte) ([]*nats.Msg, error) {
	if int64(len(data)) <= c.nc.MaxPayload() {
		m := nats.NewMsg(r.Reply)
		m.Data = data
		return []*nats.Msg{m}, nil
	}
	size := int(c.nc.MaxPayload()) - partRoom
	n := (len(data) + size - 1) / size
	if r.Header.Get(partsHeader) == "" || n > partsMax {
		return nil, cdp.Errorf(cdp.Full, "answer", r.Subject, "the answer has %d bytes; the limit is one message, or %d for a client that takes parts", len(data), partsMax).
			WithHint("to get the answer in parts, send the request header " + partsHeader + ": yes")
	}
	var out []*nats.Msg
	for part := range slices.Chunk(data, size) {
		m := nats.NewMsg(r.Reply)
		m.Header.Set(partHeader, fmt.Sprintf("%d/%d", len(out)+1, n))
		m.Data = part
		out = append(out, m)
	}
	return out, nil
}

// answers takes the answers to a connection's requests, by the subject that each
// is to go to. All are under one subscription: one for each request is slow.
//
// Who is asked sees the subject, and could send there whatever others are asked for. So
// nothing about a subject tells another one, of these or of the NATS client's own.
type answers struct {
	inbox string

	mu      sync.Mutex
	waiting map[string]chan *nats.Msg // with room for all parts
}

// listen begins to take answers below prefix; it goes on over reconnections.
func (a *answers) listen(nc *nats.Conn, prefix string) error {
	a.mu.Lock()
	a.inbox, a.waiting = prefix+rand.Text()+".", map[string]chan *nats.Msg{}
	a.mu.Unlock()
	_, err := nc.Subscribe(a.inbox+"*", func(m *nats.Msg) {
		a.mu.Lock()
		defer a.mu.Unlock()
		select {
		case a.waiting[m.Subject] <- m: // nobody waits at nil
		default:
		}
	})
	return err
}

func (a *answers) expect() (subject string, ch chan *nats.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	subject, ch = a.inbox+rand.Text(), make(chan *nats.Msg, partsMax)
	a.waiting[subject] = ch
	return subject, ch
}

func (a *answers) forget(subject string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, subject)
}

// drop ends all waiting: a request sent over a lost connection is not answered
// over the next one.
func (a *answers) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, ch := range a.waiting {
		close(ch)
	}
	clear(a.waiting)
}

// exchange sends a request and gives the whole answer. presence is empty, or a
// subject that somebody listens to if the service runs: the
// server accepts a request over a link in any case and does not report that no
// service answers it.
func (c *Conn) exchange(ctx context.Context, m *nats.Msg, presence string) (*nats.Msg, error) {
	reply, ch := c.answers.expect()
	defer c.answers.forget(reply)
	m.Reply = reply
	m.Header.Set(partsHeader, "yes")
	if err := c.nc.PublishMsg(m); err != nil {
		return nil, err
	}
	if presence != "" {
		if err := c.nc.PublishRequest(presence, reply, nil); err != nil {
			return nil, err
		}
	}
	var whole *nats.Msg
	for n, of := 1, 1; n <= of; n++ {
		var part *nats.Msg
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case part = <-ch:
		}
		switch {
		case part == nil:
			return nil, nats.ErrConnectionClosed
		case len(part.Data) == 0 && part.Header.Get("Status") == "503":
			return nil, nats.ErrNoResponders
		}
		if h := part.Header.Get(partHeader); h != "" {
			var is int
			if _, err := fmt.Sscanf(h, "%d/%d", &is, &of); err != nil || is != n {
				return nil, cdp.Errorf(cdp.Transient, "receive answer", m.Subject, "part %s came as number %d", h, n)
			}
		}
		if whole == nil {
			whole = part
		} else {
			whole.Data = append(whole.Data, part.Data...)
		}
	}
	return whole, nil
}
