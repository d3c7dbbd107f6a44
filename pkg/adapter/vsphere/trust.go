package vsphere

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/soap"

	"tidemark.dev/pkg/cdp"
)

const opTrust = "trust the certificate of"

// trust decides whether a server is the intended one.
type trust struct {
	addr  string // of the vCenter, host:port
	print string // its certificate's, in lower-case hex; "": roots decide
	roots *x509.CertPool
	ca    bool // roots must have signed it even if it has the thumbprint
	// hosts are the thumbprints that the vCenter reported of ESXi hosts for
	// uploads.
	hosts func(addr string) string
}

func newTrust(cfg Config, sc *soap.Client) (*trust, error) {
	u := sc.URL()
	port := u.Port()
	if port == "" {
		port = "443"
	}
	t := &trust{addr: net.JoinHostPort(u.Hostname(), port), hosts: sc.Thumbprint}
	if cfg.Thumbprint != "" {
		t.print = bare(cfg.Thumbprint)
		raw, err := hex.DecodeString(t.print)
		if err != nil || (len(raw) != sha256.Size && len(raw) != sha1.Size) {
			return nil, cdp.Errorf(cdp.Invalid, "read the thumbprint", cfg.Thumbprint,
				"it is not a SHA-256 (64 hex digits) or SHA-1 (40) of a certificate")
		}
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, cdp.Errorf(cdp.Invalid, "read the CA file", cfg.CAFile, "%w", err)
		}
		t.roots, t.ca = x509.NewCertPool(), true
		if !t.roots.AppendCertsFromPEM(pem) {
			return nil, cdp.Errorf(cdp.Invalid, "read the CA file", cfg.CAFile, "there is no certificate in it").
				WithHint("it must be PEM, beginning with -----BEGIN CERTIFICATE-----")
		}
	}
	return t, nil
}

func bare(print string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "", "-", "").Replace(print))
}

// dial is the transport's only way to a TLS connection.
func (t *trust) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(addr)
	conn := tls.Client(raw, &tls.Config{
		ServerName: host,
		MinVersion: tls.VersionTLS12,
		// The library's own check is replaced by verify, which is always run.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			return t.verify(addr, host, cs.PeerCertificates)
		},
	})
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

func (t *trust) verify(addr, host string, certs []*x509.Certificate) error {
	if len(certs) == 0 {
		return cdp.Errorf(cdp.Invalid, opTrust, addr, "it has none")
	}
	want := t.print
	if addr != t.addr {
		want = bare(t.hosts(addr))
	}
	if want != "" && !hasPrint(certs[0], want) {
		return cdp.Errorf(cdp.Invalid, opTrust, addr,
			"it has the thumbprint %s, not %s: it was renewed, or somebody intercepts the connection", print256(certs[0]), colons(want)).
			WithHint("compare it with the one that the vCenter shows (Administration, Certificates), and write it into the Site only if they are equal")
	}
	if want != "" && (!t.ca || addr != t.addr) {
		return nil
	}
	pool := x509.NewCertPool()
	for _, c := range certs[1:] {
		pool.AddCert(c)
	}
	if _, err := certs[0].Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: pool, DNSName: host}); err != nil {
		by := "the authorities of this system"
		if t.ca {
			by = "the configured CA file"
		}
		return cdp.Errorf(cdp.Invalid, opTrust, addr, "it is not trusted by %s: %w", by, err).
			WithHint(fmt.Sprintf("give the CA's file, or the thumbprint %s if the vCenter itself shows the same", print256(certs[0])))
	}
	return nil
}

func hasPrint(c *x509.Certificate, want string) bool {
	if len(want) == 2*sha1.Size {
		sum := sha1.Sum(c.Raw)
		return hex.EncodeToString(sum[:]) == want
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:]) == want
}

func print256(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return colons(hex.EncodeToString(sum[:]))
}

// colons writes a thumbprint the way a vCenter does: AB:CD:...
func colons(h string) string {
	h = strings.ToUpper(h)
	var b strings.Builder
	for i := 0; i+2 <= len(h); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(h[i : i+2])
	}
	return b.String()
}
