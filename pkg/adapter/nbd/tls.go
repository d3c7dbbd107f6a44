package nbd

import (
	"crypto/tls"
	"crypto/x509"
)

// forGnuTLS is a server's configuration that requires and verifies clients'
// certificates as c does, but does not name the authorities it accepts.
//
// QEMU and libnbd use GnuTLS. When the server names authorities under TLS 1.3,
// its version 3.7 looks for a certificate whose key has the type of one of the
// server's signature algorithms. It takes RSA-PSS, the only one that TLS 1.3
// has for RSA keys, for another type of key, so it finds no RSA certificate and
// sends none. When the server names no authority, it sends the one it has.
func forGnuTLS(c *tls.Config) *tls.Config {
	if c == nil || c.ClientAuth != tls.RequireAndVerifyClientCert {
		return c
	}
	out := c.Clone()
	if forClient := c.GetConfigForClient; forClient != nil {
		out.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := forClient(h)
			return forGnuTLS(c), err
		}
	}
	roots, then := c.ClientCAs, c.VerifyConnection
	out.ClientAuth, out.ClientCAs = tls.RequireAnyClientCert, nil
	out.SessionTicketsDisabled = true // every connection shows its certificate
	out.VerifyConnection = func(s tls.ConnectionState) error {
		if err := verifyClient(roots, c, s); err != nil || then == nil {
			return err
		}
		return then(s)
	}
	return out
}

// verifyClient checks a client's certificate, as crypto/tls does when it knows
// the authorities.
func verifyClient(roots *x509.CertPool, c *tls.Config, s tls.ConnectionState) error {
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if c.Time != nil {
		opts.CurrentTime = c.Time()
	}
	for _, x := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(x)
	}
	_, err := s.PeerCertificates[0].Verify(opts)
	return err
}
