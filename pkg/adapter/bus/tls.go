package bus

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"tidemark.dev/pkg/cdp"
)

// TLSFiles name the PEM files of one party. Both sides of every connection
// prove who they are by a certificate of the same authority.
type TLSFiles struct {
	CA, Cert, Key string
}

// None reports whether no file is named.
func (f TLSFiles) None() bool { return f == TLSFiles{} }

// Config reads the files into a configuration that serves both ends: it
// presents the certificate, and requires and verifies the other's.
func (f TLSFiles) Config() (*tls.Config, error) {
	if f.CA == "" || f.Cert == "" || f.Key == "" {
		return nil, cdp.Errorf(cdp.Invalid, "load TLS files", "", "ca, cert and key must all be set, or none")
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, &cdp.Error{Op: "load TLS files", Kind: cdp.Invalid, Subject: f.CA, Cause: err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, cdp.Errorf(cdp.Invalid, "load TLS files", f.CA, "the file contains no PEM certificate")
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, &cdp.Error{Op: "load TLS files", Kind: cdp.Invalid, Subject: f.Cert, Cause: err}
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		RootCAs:      pool,
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}, nil
}
