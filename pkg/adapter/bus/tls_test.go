package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// authority makes a CA and signs certificates with it.
type authority struct {
	t    *testing.T
	dir  string
	at   []net.IP // where the servers are
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir(), at: []net.IP{net.IPv4(127, 0, 0, 1)}}
	a.cert, a.key = a.sign("ca", true)
	return a
}

func (a *authority) sign(name string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, IPAddresses: a.at,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := c, key
	if !ca {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: kder}} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed, key
}

func (a *authority) files(name string) bus.TLSFiles {
	a.sign(name, false)
	return bus.TLSFiles{CA: filepath.Join(a.dir, "ca.pem"), Cert: filepath.Join(a.dir, name+".pem"), Key: filepath.Join(a.dir, name+".key")}
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	s := bustest.Start(t, bustest.Secured, func(prod, dr *bus.ServerConfig) {
		for _, listen := range []string{prod.Listen, dr.Listen} {
			host, _, _ := net.SplitHostPort(listen)
			a.at = append(a.at, net.ParseIP(host))
		}
		prod.TLS, dr.TLS = a.files("prod"), a.files("dr")
	})
	connect := func(tls bus.TLSFiles, within time.Duration) (*bus.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return bus.Connect(ctx, bus.Config{Site: "dr", Name: "operator", URL: s.DR.ClientURL(), Credential: s.Credential("dr", "operator"), TLS: tls})
	}
	c, err := connect(a.files("operator"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The link carries messages, so its TLS works, too.
	if _, err := c.Command(t.Context(), "prod", event.CaptureMark{Group: "vm1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(bus.TLSFiles{}, time.Second); err == nil {
		t.Error("connected without a certificate")
	}
	stranger := newAuthority(t).files("operator")
	stranger.CA = a.files("x").CA
	if _, err := connect(stranger, time.Second); err == nil {
		t.Error("connected with a stranger's certificate")
	}
	if _, err := connect(bus.TLSFiles{CA: "x"}, time.Second); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
}
