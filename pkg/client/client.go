package client

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
)

// Config says how a site's bus is reached.
type Config struct {
	Site cdp.Site
	Bus  SiteRef
	// Clock is the machine's by default.
	Clock clock.Clock
	// Who is the person for whom the client acts, for the record; empty: not known.
	Who string
	// Name is the user that the client connects as; default: the operator.
	Name string
	// Trace is what the client's requests and commands are a part of; nil: nothing.
	Trace *Trace
}

// Client does what an operator does at one site: the target of the jobs that it is
// asked about. Its methods may be called by many goroutines.
type Client struct {
	conn  *bus.Conn
	site  cdp.Site
	peers []cdp.Site
	clock clock.Clock
}

// Connect connects to a site's bus, and tries until ctx ends.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Name == "" {
		cfg.Name = subjects.Operator
	}
	conn, err := bus.Connect(ctx, bus.Config{Site: cfg.Site, Name: cfg.Name, Who: cfg.Who, URL: cfg.Bus.URL, Credential: cfg.Bus.Credential, TLS: cfg.Bus.TLS, Telemetry: cfg.Trace.telemetry()})
	if err != nil {
		return nil, err
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	c := &Client{conn: conn, site: cfg.Site, peers: cfg.Bus.Peers, clock: cfg.Clock}
	if c.peers == nil {
		if c.peers, err = Peers(ctx, conn); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return c, nil
}

// Over is a client on a connection that somebody else closes.
func Over(conn *bus.Conn, peers []cdp.Site, c clock.Clock) *Client {
	return &Client{conn: conn, site: conn.Site(), peers: peers, clock: c}
}

// Now is the time by the client's clock.
func (c *Client) Now() time.Time { return c.clock.Now() }

// Close closes the connection.
func (c *Client) Close() { c.conn.Close() }

// Site is the site that the client talks to.
func (c *Client) Site() cdp.Site { return c.site }

// Peers are the sites that it is linked with.
func (c *Client) Peers() []cdp.Site { return c.peers }

const (
	// pollEvery is how often a waiting call looks again.
	pollEvery = 150 * time.Millisecond
	// checkTime is how long a service may take to check a document: it asks both
	// sites' vCenters.
	checkTime = 35 * time.Second
	// startTime is how long a service that does not answer is waited for: it may be
	// starting.
	startTime = 5 * time.Second
)

// ask asks a service of this site, and waits a little for one that is starting.
func (c *Client) ask(ctx context.Context, limit time.Duration, service, endpoint string, in, out any) error {
	over := c.clock.Now().Add(startTime)
	for {
		actx, cancel := context.WithTimeout(ctx, limit)
		err := c.conn.Request(actx, c.site, service, endpoint, in, out)
		cancel()
		if err == nil || !silent(err, service) || !c.clock.Now().Before(over) {
			return err
		}
		if werr := clock.Sleep(ctx, c.clock, pollEvery); werr != nil {
			return err
		}
	}
}

// silent says whether an error means that no service answered. An error that a
// service answered with has the service's own op.
func silent(err error, service string) bool {
	var e *cdp.Error
	return errors.As(err, &e) && e.Op == "ask "+service && cdp.Is(err, cdp.Transient)
}
