package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// WitnessConfig configures Witness.
type WitnessConfig struct {
	// To is the site whose orchestrator gets the reports, and Bus its NATS server.
	To  cdp.Site
	Bus client.SiteRef
	// Watch are the addresses to look at, by site: nats://host:port for a NATS server,
	// tcp://host:port for anything that takes connections. A site answers if one of
	// its addresses does.
	Watch map[cdp.Site][]string
	Key   ed25519.PrivateKey
	// Every is the pause between two looks.
	Every time.Duration
}

// Check refuses addresses that cannot be looked at.
func (c WitnessConfig) Check() error {
	const op = "check witness"
	if len(c.Watch) == 0 {
		return cdp.Errorf(cdp.Invalid, op, "watch", "there is nothing to look at").WithHint("give --watch SITE=nats://HOST:4222")
	}
	for site, addrs := range c.Watch {
		if err := cdp.CheckName("site", string(site)); err != nil {
			return cdp.Wrap(err, op, "watch")
		}
		for _, a := range addrs {
			u, err := url.Parse(a)
			if err != nil || u.Scheme != "nats" && u.Scheme != "tcp" || u.Port() == "" || u.Hostname() == "" {
				return cdp.Errorf(cdp.Invalid, op, string(site), "%q: write nats://host:port or tcp://host:port", a)
			}
		}
	}
	return nil
}

// Witness looks at sites and tells an orchestrator what it sees, until ctx ends.
func Witness(ctx context.Context, cfg WitnessConfig, log *slog.Logger, ready func()) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	conn, err := witnessConn(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	ready()
	var wg sync.WaitGroup
	defer wg.Wait()
	for site, addrs := range cfg.Watch {
		wg.Go(func() { keepWitnessing(ctx, cfg, conn, site, addrs, log.With("site", site)) })
	}
	<-ctx.Done()
	return nil
}

// witnessConn connects as the user witness; as the user of the directory, if that is an
// operator's. It tries until ctx ends: a witness may start before the site does.
func witnessConn(ctx context.Context, cfg WitnessConfig, log *slog.Logger) (*bus.Conn, error) {
	c := bus.Config{Site: cfg.To, Name: subjects.Witness, URL: cfg.Bus.URL, Credential: cfg.Bus.Credential, TLS: cfg.Bus.TLS}
	if c.Credential.User == subjects.Operator {
		c.Name = subjects.Operator
	}
	for retry := (clock.Backoff{Clock: clock.System, Min: time.Second, Max: 15 * time.Second}); ; {
		cctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		conn, err := bus.Connect(cctx, c)
		cancel()
		if err == nil || !cdp.Is(err, cdp.Transient) {
			return conn, err
		}
		log.Warn(err.Error())
		if err := retry.Wait(ctx); err != nil {
			return nil, err
		}
	}
}

// keepWitnessing looks at one site. What it sees and how it was taken is logged when it
// changes.
func keepWitnessing(ctx context.Context, cfg WitnessConfig, conn *bus.Conn, site cdp.Site, addrs []string, log *slog.Logger) {
	said := ""
	say := func(text string, args ...any) {
		if text != said {
			log.Info(text, args...)
		}
		said = text
	}
	for {
		r := api.WitnessReport{To: cfg.To, Site: site}
		r.Answers, r.Text = answers(ctx, addrs)
		r.At = clock.System.Now()
		r.Sign(cfg.Key)
		rctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := conn.Request(rctx, cfg.To, subjects.Orchestrator, api.PlanWitness, r, nil)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !cdp.Is(err, cdp.Duplicate):
			say("not taken: "+err.Error(), "hint", cdp.HintOf(err))
		case r.Answers:
			say("it answers")
		default:
			say("it does not answer: " + r.Text)
		}
		if clock.Sleep(ctx, clock.System, cfg.Every) != nil {
			return
		}
	}
}

// probeTime is how long an address may take to answer.
const probeTime = 3 * time.Second

// answers reports whether one of the addresses answers, and what was seen.
func answers(ctx context.Context, addrs []string) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	found := make(chan error, len(addrs))
	for _, a := range addrs {
		go func() { found <- probe(ctx, a) }()
	}
	var why []string
	for range addrs {
		err := <-found
		if err == nil {
			return true, ""
		}
		why = append(why, err.Error())
	}
	return false, strings.Join(why, "; ")
}

// probe connects to an address. A NATS server is known by its greeting: a firewall in
// front of it may take connections, too.
func probe(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	if u.Scheme != "nats" {
		return nil
	}
	if at, set := ctx.Deadline(); set {
		_ = c.SetDeadline(at)
	}
	greeting := make([]byte, len("INFO "))
	if _, err := io.ReadFull(c, greeting); err != nil || string(greeting) != "INFO " {
		return errors.New(u.Host + ": it does not greet as a NATS server")
	}
	return nil
}

// LoadWitnessKey is the key in a file, which is made the first time.
func LoadWitnessKey(path string) (ed25519.PrivateKey, error) {
	return loadKey("load witness's key", path, "use another file, or delete this one to have a new key made; plans then have to list the new one")
}
