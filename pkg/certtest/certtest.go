// Package certtest makes certificates. It is for tests only: they last an hour.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64 // serial number
}

// Files are PEM files of one party.
type Files struct{ CA, Cert, Key string }

// Quiet is an address of this machine at which a free port stays free until the test
// listens there.
var Quiet = net.IPv4(127, 77, 66, 55)

// New makes an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t}
	a.key = a.newKey()
	a.cert = a.template("authority")
	a.cert.IsCA, a.cert.BasicConstraintsValid, a.cert.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	a.must(err)
	a.cert, err = x509.ParseCertificate(der)
	a.must(err)
	return a
}

// Issue writes ca.pem, cert.pem and key.pem into dir: a certificate for servers and
// clients on this machine, which has some URIs as alternative names.
func (a *Authority) Issue(dir string, uris ...string) Files {
	a.t.Helper()
	key, leaf := a.newKey(), a.template("localhost")
	leaf.DNSNames, leaf.IPAddresses = []string{"localhost", "nats"}, []net.IP{net.IPv4(127, 0, 0, 1), Quiet}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, text := range uris {
		u, err := url.Parse(text)
		a.must(err)
		leaf.URIs = append(leaf.URIs, u)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	a.must(err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	a.must(err)
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		a.must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	return Files{CA: write("ca.pem", "CERTIFICATE", a.cert.Raw), Cert: write("cert.pem", "CERTIFICATE", der), Key: write("key.pem", "EC PRIVATE KEY", keyDER)}
}

// ForClients links files by the names that QEMU and libnbd look for in their directory.
func (f Files) ForClients(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Dir(f.CA)
	for name, from := range map[string]string{"ca-cert.pem": f.CA, "client-cert.pem": f.Cert, "client-key.pem": f.Key} {
		if err := os.Symlink(from, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	return key
}

func (a *Authority) template(name string) *x509.Certificate {
	a.last++
	return &x509.Certificate{SerialNumber: big.NewInt(a.last), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
}

func (a *Authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}
