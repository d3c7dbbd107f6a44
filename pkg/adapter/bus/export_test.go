package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// RestartCopies restarts all copies of a peer, as FollowPeer restarts a stalled
// one.
func RestartCopies(ctx context.Context, conn *Conn, peer cdp.Site) error {
	for _, cfg := range peerStreams(conn.site, peer) {
		if err := restartCopy(ctx, conn.js, cfg); err != nil {
			return err
		}
	}
	return nil
}

// StartEdited starts a server with a configuration that edit has changed.
func StartEdited(ctx context.Context, cfg ServerConfig, edit func(text string) string) (*Server, error) {
	text, err := cfg.Text()
	if err != nil {
		return nil, err
	}
	return cfg.start(ctx, edit(text))
}

// ForbiddenEndpoints are requests that no link carries to site.
func ForbiddenEndpoints(site cdp.Site) (out []string) {
	for _, s := range subjects.Services() {
		out = append(out, subjects.RequestSubject(site, s, "unlisted"), subjects.CommandSubject(site, s, "unlisted", "x"))
	}
	return out
}

// SetLongestAnswer changes how long a connection waits for an answer at most.
func SetLongestAnswer(c *Conn, d time.Duration) { c.longestAnswer = d }

// Delivered corrects the answer to a peer that has reset a consumer.
var Delivered = delivered

// Streams is what tests look at, past the connection's own calls.
func Streams(c *Conn) jetstream.JetStream { return c.js }

// DeadLetters is how many dead letters a site keeps.
func DeadLetters(ctx context.Context, conn *Conn) (int, error) {
	s, err := conn.js.Stream(ctx, subjects.StreamDeadLetters)
	if err != nil {
		return 0, err
	}
	return int(s.CachedInfo().State.Msgs), nil
}

// Commands is how many commands a site holds.
func Commands(ctx context.Context, conn *Conn) int {
	s, err := conn.js.Stream(ctx, subjects.StreamCommands)
	if err != nil {
		return -1
	}
	return int(s.CachedInfo().State.Msgs)
}

// SkipCommands moves a service past all commands that are stored.
func SkipCommands(ctx context.Context, conn *Conn, service string) error {
	s, err := conn.js.Stream(ctx, subjects.StreamCommands)
	if err != nil {
		return err
	}
	return conn.ask(ctx, subjects.API+".CONSUMER.RESET."+subjects.StreamCommands+"."+service, map[string]uint64{"seq": s.CachedInfo().State.LastSeq + 1}, nil)
}

// MendBlocks mends the files of a stopped server.
var MendBlocks = mendBlocks

// RestAfter is how soon the pulls from a site count as idle. Call it before they begin.
func RestAfter(c *Conn, site cdp.Site, idle time.Duration) { c.lookoutFor(site).idle = idle }

// Resting is how many pulls from a site rest.
func Resting(c *Conn, site cdp.Site) int {
	l := c.lookoutFor(site)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.resting)
}

// Seeks says how often n pulls from a site look for streams that are missing, and how
// long a pull whose stream exists waits meanwhile.
func Seeks(c *Conn, site cdp.Site, n int) (absent, exists time.Duration) {
	l := c.lookoutFor(site)
	all := make([]*puller, n)
	for i := range all {
		all[i] = &puller{}
		l.seek(all[i], false)
	}
	absent = l.spread(all[0])
	l.seek(all[0], true)
	exists = l.spread(all[0])
	for _, p := range all {
		l.seek(p, true)
	}
	return absent, exists
}

// Unlike are the streams of a site and of its peer's copies that are not as wanted.
func Unlike(ctx context.Context, conn *Conn, peer cdp.Site) (out []string, err error) {
	for _, cfg := range append(siteStreams(string(conn.site)), peerStreams(conn.site, peer)...) {
		s, err := conn.js.Stream(ctx, cfg.Name)
		if err != nil {
			return nil, err
		}
		if cfg.Storage = jetstream.FileStorage; !asWanted(cfg, s.CachedInfo().Config) {
			out = append(out, cfg.Name)
		}
	}
	return out, nil
}

// AsWanted compares the configurations of streams.
var AsWanted = asWanted

// Sources is what a copy knows of its sources, for a test that fails.
func Sources(conn *Conn, stream string) string {
	s, err := conn.js.Stream(context.Background(), stream)
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(s.CachedInfo().Sources)
	return fmt.Sprint(string(text), " ", s.CachedInfo().State.LastSeq, " ", len(s.CachedInfo().Config.Sources), " ", err)
}

// Consumers are those of a stream, for a test that fails.
func Consumers(conn *Conn, stream string) string {
	s, err := conn.js.Stream(context.Background(), stream)
	if err != nil {
		return err.Error()
	}
	var all []*jetstream.ConsumerInfo
	for c := range s.ListConsumers(context.Background()).Info() {
		all = append(all, c)
	}
	text, err := json.Marshal(all)
	return fmt.Sprint(string(text), " ", err)
}

// TakeTurns takes all turns of the pulls from a site.
func TakeTurns(c *Conn, site cdp.Site) (release func()) {
	l := c.lookoutFor(site)
	for range joins {
		l.turns <- struct{}{}
	}
	return func() {
		for range joins {
			<-l.turns
		}
	}
}

// Explained is explained.
var Explained = explained
