package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path"
	"path/filepath"
	"sync/atomic"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// DiskClients says who may open disks that are served over TCP. It comes from a local
// file or a flag, never from the bus.
type DiskClients string

const (
	// ByName: whoever shows a certificate of the site's authority that names the job.
	// The default.
	ByName DiskClients = "named"
	// AnyCertificate: whoever shows a certificate of the authority.
	AnyCertificate DiskClients = "certified"
	// Anybody: whoever reaches the port, without TLS.
	Anybody DiskClients = "anybody"
)

// Check refuses a word that is none of these; field names where it was written.
func (c DiskClients) Check(field string) error {
	switch c {
	case "", ByName, AnyCertificate, Anybody:
		return nil
	}
	return cdp.Errorf(cdp.Invalid, "check", field, "%q is not one of %s, %s and %s", c, ByName, AnyCertificate, Anybody)
}

// LetIn has every site take clients of disks over TCP as c says.
func (c *Config) LetIn(who DiskClients) error {
	for i := range c.Sites {
		c.Sites[i].DiskClients = who
	}
	return who.Check("--disk-clients")
}

// diskDoor decides who gets the disks that a site serves: on a socket its owner, over
// TCP whom the machine's own configuration lets in.
type diskDoor struct {
	clients DiskClients
	files   bus.TLSFiles // the site's; none: it has no certificate
	clock   clock.Clock
	warn    func(error)
}

func overTCP(address string) bool { return !filepath.IsAbs(address) }

// secure reports whether clients over TCP use TLS.
func (d diskDoor) secure() bool { return d.clients != Anybody && !d.files.None() }

// check refuses an address at which whoever reaches it would get the disks, unless the
// configuration says so.
func (d diskDoor) check(address string) error {
	if !overTCP(address) || d.clients == Anybody || d.secure() {
		return nil
	}
	return cdp.Errorf(cdp.Invalid, "listen", address, "the site has no certificate, so whoever reaches this address could read and write the disks").
		WithHint("listen at the path of a unix socket, or give that site a certificate: tls: in up.yaml; on a network of its own, allow it there: diskClients: anybody in up.yaml, or --disk-clients anybody")
}

// server is how to serve a number of disks at an address; refused hears of clients that
// do not get one.
func (d diskDoor) server(address string, disks int, refused func(error)) (nbd.Config, error) {
	r := &refusals{clock: d.clock, tell: refused}
	c := nbd.Config{MaxConnections: max(128, 4*disks), Events: func(e nbd.Event) {
		if e.Kind == nbd.EventRefused && e.Err != nil {
			r.add(e)
		}
	}}
	c.MaxPerPeer = c.MaxConnections / 2
	err := d.check(address)
	if err == nil && overTCP(address) && d.secure() {
		c.TLS, err = d.tls()
	}
	return c, err
}

// export binds a group's disk to its clients, and bounds them.
func (d diskDoor) export(address string, g cdp.GroupID, e nbd.Export) nbd.Export {
	e.MaxConns = 64
	if overTCP(address) && d.clients != Anybody && d.clients != AnyCertificate {
		e.Allow = func(p nbd.Peer) error {
			if p.TLS != nil && len(p.TLS.PeerCertificates) > 0 && certifies(p.TLS.PeerCertificates[0], g) {
				return nil
			}
			return fmt.Errorf("the certificate does not name the job %s: it needs the subject alternative name URI:%s:%s", g, certificateScheme, g)
		}
	}
	return e
}

// certificateScheme begins the URIs by which a certificate names jobs: tidemark:web, or
// tidemark:shop-* for all whose names begin so.
const certificateScheme = "tidemark"

// certifies reports whether a certificate names the job of a group.
func certifies(c *x509.Certificate, g cdp.GroupID) bool {
	for _, u := range c.URIs {
		if ok, err := path.Match(u.Opaque, string(g)); u.Scheme == certificateScheme && ok && err == nil {
			return true
		}
	}
	return false
}

// tls is what clients over TCP have to show and are shown. The files are read again for
// each client, so that a certificate that was renewed is used from then on; while they
// cannot be read, the last that could be are.
func (d diskDoor) tls() (*tls.Config, error) {
	cfg, err := d.files.Config()
	if err != nil {
		return nil, err
	}
	var last atomic.Pointer[tls.Config]
	last.Store(cfg)
	first := cfg.Clone()
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now, err := d.files.Config()
		if err != nil {
			d.warn(err)
			return last.Load(), nil
		}
		last.Store(now)
		return now, nil
	}
	return first, nil
}
