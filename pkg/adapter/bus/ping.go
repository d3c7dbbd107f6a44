package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"tidemark.dev/pkg/cdp"
)

// microName is a service's name in `nats micro`.
func microName(service string) string { return "tidemark-" + service }

// pingSubject is where every instance of a service at a site answers a ping.
func pingSubject(service string) string { return micro.APIPrefix + ".PING." + microName(service) }

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
