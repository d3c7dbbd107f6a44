package nbd

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority makes certificates for a test, in the files that libnbd and QEMU
// look for.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	pool *x509.CertPool
	// newKey makes the keys of all certificates.
	newKey func() (crypto.Signer, error)
}

func ecdsaKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
func rsaKey() (crypto.Signer, error)   { return rsa.GenerateKey(rand.Reader, 2048) }

func newAuthority(t *testing.T) *authority { return newAuthorityOf(t, ecdsaKey) }

func newAuthorityOf(t *testing.T, newKey func() (crypto.Signer, error)) *authority {
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool(), newKey: newKey}
	der := a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, _ = x509.ParseCertificate(der.Certificate[0])
	a.key = der.PrivateKey.(crypto.Signer)
	a.pool.AddCert(a.cert)
	return a
}

// issue writes name-cert.pem and name-key.pem; the first one signs itself.
func (a *authority) issue(name string, tmpl *x509.Certificate) tls.Certificate {
	key, err := a.newKey()
	must(a.t, err)
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	tmpl.Subject = pkix.Name{CommonName: name}
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	must(a.t, err)
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	write := func(kind, typ string, b []byte) {
		must(a.t, os.WriteFile(filepath.Join(a.dir, name+"-"+kind+".pem"), pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b}), 0o600))
	}
	write("cert", "CERTIFICATE", der)
	write("key", "PRIVATE KEY", pk)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) server() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{a.issue("server", &x509.Certificate{
			DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool, MinVersion: tls.VersionTLS12,
	}
}

func (a *authority) client() *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "localhost",
		Certificates: []tls.Certificate{a.issue("client", &x509.Certificate{
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})}}
}
