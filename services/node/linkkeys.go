package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
	"tidemark.dev/services/journal"
)

// A link's identity is a key pair of the site that dials. Its seed is in
// DIR/FROM/links/TO.seed and never leaves that machine. The site that is dialled
// knows the public key from its configuration, or from DIR/TO/links/FROM.key.

func seedPath(dir string, l LinkConfig) string {
	return filepath.Join(dir, string(l.From), "links", string(l.To)+".seed")
}

func keyPath(dir string, l LinkConfig) string {
	return filepath.Join(dir, string(l.To), "links", string(l.From)+".key")
}

// LinkKeys are the links that the named sites dial, with their public keys. Seeds
// that are missing are made.
func LinkKeys(cfg Config, sites []cdp.Site) ([]LinkConfig, error) {
	dir, err := directory(cfg)
	if err != nil {
		return nil, err
	}
	var out []LinkConfig
	for _, l := range cfg.Links {
		for _, s := range sites {
			if s != l.From {
				continue
			}
			if _, l.Key, err = linkSeed(dir, l); err != nil {
				return nil, err
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// linkSeed is the link's seed and its public key; they are made the first time.
func linkSeed(dir string, l LinkConfig) (seed, key string, err error) {
	unlock, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return "", "", err
	}
	defer unlock()
	path := seedPath(dir, l)
	data, err := os.ReadFile(path)
	if err == nil {
		seed = strings.TrimSpace(string(data))
		key, err = bus.LinkKey(seed)
		return seed, key, cdp.Wrap(err, "load the link's key", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", "", &cdp.Error{Op: "load the link's key", Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	seed, key = bus.NewLinkKey()
	return seed, key, keep(path, seed)
}

// linkKey is what the site that is dialled knows the link by.
func linkKey(dir string, l LinkConfig) (string, error) {
	if l.Key != "" {
		return l.Key, nil
	}
	data, err := os.ReadFile(keyPath(dir, l))
	if err != nil {
		return "", cdp.Errorf(cdp.Invalid, "load the link's key", "links", "the public key of the link from %s to %s is not known here", l.From, l.To).
			WithHint("join the sites: tidemark site invite " + string(l.From) + " here, tidemark site join there, tidemark site accept here")
	}
	return strings.TrimSpace(string(data)), nil
}

// exchangeKeys gives each site of the file the keys of those that it is linked with. That
// can only be done where all of them live in one directory.
func exchangeKeys(dir string, cfg Config) error {
	for _, l := range cfg.Links {
		_, key, err := linkSeed(dir, l)
		if err == nil {
			err = keep(keyPath(dir, l), key)
		}
		if err == nil {
			err = exchangeSigners(dir, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exchangeSigners binds the keys that the two sites of a link sign with. What a site has
// bound before stays as it is: a key that was replaced is an operator's to accept.
func exchangeSigners(dir string, l LinkConfig) error {
	for _, x := range [][2]cdp.Site{{l.From, l.To}, {l.To, l.From}} {
		bound, err := journal.ReadSigners(filepath.Join(dir, string(x[1]), "journal", "signers"), x[0])
		if err != nil || len(bound) > 0 {
			continue // the journal says what is wrong with the file
		}
		key, err := Joiner{}.signer(dir, x[0])
		if err != nil {
			continue // capture does
		}
		if _, err = bindSigner(dir, x[1], x[0], key); err != nil {
			return err
		}
	}
	return nil
}

func keep(path, text string) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = durable.WriteFile(path, []byte(text+"\n"))
	}
	if err != nil {
		return &cdp.Error{Op: "keep the link's key", Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	return nil
}

// links are a site's links as its server wants them. leaf tells where a site of
// this process waits; empty if it is not here.
func (c Config) links(dir string, site cdp.Site, leaf func(cdp.Site) string) ([]bus.Link, error) {
	var out []bus.Link
	for _, l := range c.Links {
		x := bus.Link{Compression: l.Compression}
		var err error
		switch site {
		case l.From:
			x.Peer, x.Dial = l.To, l.Dial
			if x.Dial == "" {
				x.Dial = leaf(l.To)
			}
			if x.Dial == "" {
				x.Dial = c.site(l.To).Leaf
			}
			x.Seed, _, err = linkSeed(dir, l)
		case l.To:
			x.Peer = l.From
			x.Key, err = linkKey(dir, l)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}
