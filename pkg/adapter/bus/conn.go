package bus

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// Config says how to reach a site's bus.
type Config struct {
	// Site is the site whose server is connected to.
	Site cdp.Site
	// Name is the connecting service: its user, and its inbox.
	Name string
	// Server connects in-process; else URL is dialled.
	Server *Server
	URL    string
	// User and Password are the service's own; empty for an open server.
	Credential Credential
	TLS        TLSFiles
	// Who is the person for whom the connection acts, for the record; empty: nobody.
	Who string
	// Keep, if set, keeps each record of what the service was asked where nothing on the bus
	// reaches it. What it cannot keep is reported to Notify.
	Keep func(api.AuditRecord) error
	// Says is what the service says of itself to whoever looks at the services of the site,
	// by name: see Conn.Say.
	Says map[string]string
	// Telemetry may be nil.
	Telemetry *telemetry.Telemetry
	// Notify, if set, is called for background events: a lost or restored
	// connection, a failed handler. It must not block.
	Notify func(Notice)
}

// Notice is something that happened in the background.
type Notice struct {
	What  string // "disconnected", "reconnected", "command refused" ...
	Err   error  // nil if it is good news
	Trace string // the id of the trace that it is a part of, or empty
}

// Conn is a service's connection to the bus. It reconnects forever. While it is
// down, every call fails at once with a Transient error; nothing is queued.
type Conn struct {
	site    cdp.Site
	name    string
	who     string
	anybody bool // the server has no users
	audit   auditor
	nc      *nats.Conn
	keep    func(api.AuditRecord) error
	says    map[string]string
	tel     *telemetry.Telemetry
	notify  func(Notice)
	server  *Server // nil: not of this process
	checks  *event.Schemas

	answers       answers
	longestAnswer time.Duration
	acks          frameAcks

	lookoutsMu sync.Mutex
	lookouts   map[cdp.Site]*lookout

	js jetstream.JetStream // of the own site; other sites' cannot be reached
}

// Connect connects to a site's bus. It retries until ctx is done. Invalid: the
// server's max_payload is too small for a frame, which would be sent for ever.
func Connect(ctx context.Context, cfg Config) (*Conn, error) {
	const op = "connect to bus"
	if err := cdp.CheckName("site", string(cfg.Site)); err != nil {
		return nil, cdp.Wrap(err, op, cfg.URL)
	}
	if err := cdp.CheckName("name", cfg.Name); err != nil {
		return nil, cdp.Wrap(err, op, cfg.URL)
	}
	c := &Conn{site: cfg.Site, name: cfg.Name, says: cfg.Says, anybody: cfg.Credential.User == "", who: oneLine(cut(cfg.Who, 200)), tel: cfg.Telemetry, notify: cfg.Notify, server: cfg.Server, checks: event.NewSchemas(), longestAnswer: longestAnswer}
	if c.tel == nil {
		c.tel = telemetry.Off()
	}
	if c.keep = cfg.Keep; c.keep == nil {
		c.keep = func(api.AuditRecord) error { return nil }
	}
	if c.notify == nil {
		c.notify = func(Notice) {}
	}
	opts, err := c.options(cfg)
	if err != nil {
		return nil, cdp.Wrap(err, op, cfg.URL)
	}
	wait := clock.Backoff{Min: 50 * time.Millisecond, Max: 2 * time.Second}
	for {
		c.nc, err = nats.Connect(cfg.URL, opts...)
		if err == nil {
			if most := c.nc.MaxPayload(); most < maxMessage {
				c.nc.Close()
				return nil, cdp.Errorf(cdp.Invalid, op, cfg.URL, "its server takes messages of at most %d bytes, and a frame may have %d", most, maxMessage).
					WithHint("set max_payload to 1MB or more in the configuration of the server of site " + string(cfg.Site) + "; tidemark site nats-config prints one that fits")
			}
			if err = c.listen(); err == nil {
				return c, nil
			}
			c.nc.Close() // it was lost at once
		}
		if ctx.Err() == nil {
			c.notify(Notice{What: "not connected yet", Err: wrap(err, op, cfg.URL)})
		}
		if wait.Wait(ctx) == nil {
			continue
		}
		e := &cdp.Error{Op: op, Kind: cdp.Transient, Subject: cfg.URL, Cause: err}
		return nil, e.WithHint("check that the NATS server of site " + string(cfg.Site) + " is running, and that user, password and certificate are correct")
	}
}

// listen prepares a new connection for use.
func (c *Conn) listen() (err error) {
	if c.js, err = jetstream.New(c.nc, jetstream.WithDefaultTimeout(3*time.Second)); err != nil {
		return err
	}
	return c.answers.listen(c.nc, InboxPrefix(c.name)+".")
}

func (c *Conn) options(cfg Config) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(cfg.Name), nats.CustomInboxPrefix(InboxPrefix(cfg.Name)),
		// Only pulls of frames read from a queue: see pullBatch. There is one for each
		// group, and the default takes half a megabyte.
		nats.SyncQueueLen(2 * pullBatch), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond), nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(), nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(3),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.answers.drop()
			if err != nil {
				c.notify(Notice{What: "disconnected", Err: wrap(err, "stay connected", string(cfg.Site))})
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			c.rejoinAll()
			c.notify(Notice{What: "reconnected"})
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			c.notify(Notice{What: "bus error", Err: wrap(err, "receive", subject)})
		}),
	}
	if cfg.Credential.User != "" {
		opts = append(opts, nats.UserInfo(cfg.Credential.User, cfg.Credential.Password))
	}
	var tc *tls.Config
	if !cfg.TLS.None() {
		var err error
		if tc, err = cfg.TLS.Config(); err != nil {
			return nil, err
		}
	}
	switch {
	case cfg.Server != nil:
		opts = append(opts, nats.InProcessServer(cfg.Server.ns))
	case tc != nil:
		opts = append(opts, nats.Secure(tc))
	}
	return opts, nil
}

// InboxPrefix is the prefix of a role's inboxes. Each role may subscribe to its own
// only, and answers go to no other subject.
func InboxPrefix(role string) string { return "_INBOX_" + role }

// Site is the site the connection belongs to.
func (c *Conn) Site() cdp.Site { return c.site }

// Connected reports whether the connection is up now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// source is the CloudEvents source of what this connection sends.
func (c *Conn) source() string { return "/" + string(c.site) + "/" + c.name }

// Flush waits until the server has taken all that was published.
func (c *Conn) Flush(ctx context.Context) error {
	return wrap(c.nc.FlushWithContext(ctx), "flush", string(c.site))
}

// Close closes the connection.
func (c *Conn) Close() { c.nc.Close() }
