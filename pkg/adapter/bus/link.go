package bus

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/nats-io/nkeys"

	"tidemark.dev/pkg/cdp"
)

// Link is a leaf connection between this site and a peer. Links form a tree:
// hub and spokes. One of the two sites dials, the other one listens.
type Link struct {
	Peer cdp.Site
	// Dial is where the peer is dialled: host:port, or a URL (nats-leaf:// or
	// tls://). Empty: the peer dials this site's LeafListen.
	Dial string
	// Seed is the link's secret NKEY. It is set on the side that dials, and
	// never leaves it.
	Seed string
	// Key is the public half of the peer's seed. It is set on the side that is
	// dialled.
	Key string
	// Compression is "off" (default), "s2_fast", "s2_better" or "s2_auto". The
	// side that dials decides.
	Compression string
}

// NewLinkKey makes the identity of a link: the seed for the side that dials, the
// public key for the other.
func NewLinkKey() (seed, public string) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		panic(err) // only if the system has no random numbers
	}
	s, err := pair.Seed()
	if err != nil {
		panic(err) // a pair that was made just now has one
	}
	if public, err = pair.PublicKey(); err != nil {
		panic(err)
	}
	return string(s), public
}

// LinkKey is the public key of a link's seed.
func LinkKey(seed string) (string, error) {
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil || !isUser(pair) {
		return "", invalid("read", "seed", "not a seed: want an NKEY user seed, which begins with SU")
	}
	return pair.PublicKey()
}

// check reports what is wrong with the link, as one of site.
func (l Link) check(site cdp.Site, listens bool) error {
	field := "links." + string(l.Peer)
	if err := cdp.CheckName("links.peer", string(l.Peer)); err != nil {
		return err
	}
	if l.Peer == site {
		return invalid("check", field, "a site cannot link to itself")
	}
	switch l.Compression {
	case "", "off", "s2_fast", "s2_better", "s2_auto":
	default:
		return invalid("check", field+".compression", "%q: want off, s2_fast, s2_better or s2_auto", l.Compression)
	}
	if l.Dial != "" {
		if pair, err := nkeys.FromSeed([]byte(l.Seed)); err != nil || !isUser(pair) {
			return invalid("check", field+".seed", "the side that dials needs the link's seed, an NKEY that begins with SU")
		}
		_, err := l.url(false)
		return err
	}
	if !listens {
		return invalid("check", field, "the peer dials this site, but this site has no leaf listen address")
	}
	if !IsLinkKey(l.Key) {
		return invalid("check", field+".key", "the side that is dialled needs the peer's public key, an NKEY that begins with U")
	}
	return nil
}

// IsLinkKey reports whether key can be the public key of a link.
func IsLinkKey(key string) bool { return nkeys.IsValidPublicUserKey(key) }

func isUser(pair nkeys.KeyPair) bool {
	public, err := pair.PublicKey()
	return err == nil && nkeys.IsValidPublicUserKey(public)
}

// url is where the peer is dialled.
func (l Link) url(tls bool) (*url.URL, error) {
	dial := l.Dial
	if !strings.Contains(dial, "://") {
		scheme := "nats-leaf://"
		if tls {
			scheme = "tls://"
		}
		dial = scheme + dial
	}
	u, err := url.Parse(dial)
	if err != nil || u.Port() == "" {
		return nil, invalid("check", "links."+string(l.Peer)+".dial", "%q: want host:port or a URL", l.Dial)
	}
	return u, nil
}

// leafText is the block of leaf connections: where peers arrive, and the peers
// that this site dials. tls is the block that secures them, or empty.
func (cfg ServerConfig) leafText(tls string) (string, error) {
	var b strings.Builder
	b.WriteString("leafnodes {\n  reconnect: 1s, no_advertise: true, write_deadline: 30s, dial_timeout: 5s\n")
	if cfg.LeafListen != "" {
		addr, err := listenAddr("leaf listen", cfg.LeafListen)
		if err != nil {
			return "", err
		}
		// The side that dials decides about compression.
		fmt.Fprintf(&b, "  listen: %q, compression: accept\n  %s", addr, tls)
	}
	b.WriteString("  remotes: [\n")
	seen := map[cdp.Site]bool{}
	for _, l := range cfg.Links {
		if err := l.check(cfg.Site, cfg.LeafListen != ""); err != nil {
			return "", err
		}
		if seen[l.Peer] {
			return "", invalid("check", "links", "there are two links to %q", l.Peer)
		}
		seen[l.Peer] = true
		if l.Dial == "" {
			continue
		}
		u, err := l.url(tls != "")
		if err != nil {
			return "", err
		}
		compression := l.Compression
		if compression == "" {
			compression = "off"
		}
		// The account is the fence; these denials are a second one.
		fmt.Fprintf(&b, "    {url: %q, account: %q, nkey: %q, ignore_discovered_servers: true, compression: %q\n      deny_imports: %s, deny_exports: %[5]s\n      %s    }\n",
			u, linkAccount(l.Peer), l.Seed, compression, list(neverCross), tls)
	}
	b.WriteString("  ]\n}\n")
	return b.String(), nil
}

// neverCross are subjects that no link may carry, in either direction.
var neverCross = []string{"$JS.API.>", "$JS.*.API.>", "$KV.>", "$OBJ.>", "$SRV.>", "$SYS.>"}

// peers are the sites that this one is linked with.
func (cfg ServerConfig) peers() []cdp.Site {
	out := make([]cdp.Site, len(cfg.Links))
	for i, l := range cfg.Links {
		out[i] = l.Peer
	}
	return out
}
