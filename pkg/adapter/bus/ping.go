package bus

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"tidemark.dev/pkg/cdp"
)

// microName is a service's name in `nats micro`.
func microName(service string) string { return "tidemark-" + service }

// pingSubject is where every instance of a service at a site answers a ping.
func pingSubject(service string) string { return micro.APIPrefix + ".PING." + microName(service) }

// instancesWait is how long after an answer of one instance those of others may come.
const instancesWait = 200 * time.Millisecond

// Say is what each instance of a service at the connection's site says of itself under a
// name; empty: nothing. There is none for an instance that is slow to answer.
func (c *Conn) Say(ctx context.Context, service, name string) (says []string, err error) {
	sub, err := c.nc.SubscribeSync(c.nc.NewInbox())
	if err != nil {
		return nil, wrap(err, "look at", service)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.nc.PublishRequest(micro.APIPrefix+".INFO."+microName(service), sub.Subject, nil); err != nil {
		return nil, wrap(err, "look at", service)
	}
	for {
		wait, cancel := context.WithTimeout(ctx, instancesWait)
		m, err := sub.NextMsgWithContext(wait)
		cancel()
		if err != nil {
			return says, ctx.Err()
		}
		var info micro.Info
		if json.Unmarshal(m.Data, &info) == nil && info.Name != "" {
			says = append(says, info.Metadata[name])
		}
	}
}

// Ping waits for an answer of a service at the connection's site. Transient: no
// instance of it takes requests.
func (c *Conn) Ping(ctx context.Context, service string) error {
	_, err := c.nc.RequestWithContext(ctx, pingSubject(service), nil)
	if errors.Is(err, nats.ErrNoResponders) {
		return cdp.Errorf(cdp.Transient, "ping", service, "the service takes no requests at site %s", c.site).
			WithHint("start it, or look into its log")
	}
	return wrap(err, "ping", service)
}
