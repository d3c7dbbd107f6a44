package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/nbd"
)

// authority makes a certificate authority and one certificate of it for this
// machine, and gives their files.
func authority(t *testing.T, dir string) bus.TLSFiles {
	t.Helper()
	f := bus.TLSFiles{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string]*pem.Block{f.CA: {Type: "CERTIFICATE", Bytes: caDER}, f.Cert: {Type: "CERTIFICATE", Bytes: leafDER},
		f.Key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		write(t, path, string(pem.EncodeToMemory(b)))
	}
	return f
}

// With certificates, a disk over TCP is served to those who show one, and to
// nobody else; so is an export at the target.
func TestDisksOverTCPAskForACertificate(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	f := authority(t, t.TempDir())
	l := newLab(t, dir, "", fmt.Sprintf("tls: {ca: %q, cert: %q, key: %q}\n", f.CA, f.Cert, f.Key))
	port, err := net.Listen("tcp", "127.77.66.55:0") // where nobody else takes it before capture does
	if err != nil {
		t.Fatal(err)
	}
	addr := port.Addr().String()
	port.Close()
	file, src, dst := jobFile(t, dir)
	write(t, file, strings.Replace(goodJob(src, dst), "capture: inline", "capture: inline\n    listen: "+addr, 1))
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.until("protected", "status")
	if uri := l.field("write to", "status", "web"); !strings.HasPrefix(uri, "nbds://"+addr) {
		t.Errorf("the address of the disk is given as %s", uri)
	}
	cfg, err := f.Config()
	if err != nil {
		t.Fatal(err)
	}
	cfg.ServerName = "localhost"
	c, err := nbd.Dialer{TLS: cfg}.Dial(context.Background(), "tcp", addr, "system")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.WriteAt(make([]byte, 4096), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := nbd.Dial(context.Background(), "tcp", addr, "system"); err == nil {
		t.Fatal("a client without a certificate was served")
	}
	out, _ := l.do(0, "export", "web", "--point", "latest", "--detach", "--listen", "127.0.0.1:0")
	at := strings.Index(out, "nbds://127.0.0.1:")
	if at < 0 {
		t.Fatalf("the export's address is not told: %s", out)
	}
	host, name, _ := strings.Cut(strings.Fields(out[at+len("nbds://"):])[0], "/")
	x, err := nbd.Dialer{TLS: cfg}.Dial(context.Background(), "tcp", host, name)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if _, err := nbd.Dial(context.Background(), "tcp", host, name); err == nil {
		t.Fatal("an export was served to a client without a certificate")
	}

	// Both serve a renewed certificate, of another authority, without another word.
	dials := func(cfg *tls.Config, at, disk string) error {
		c, err := nbd.Dialer{TLS: cfg}.Dial(context.Background(), "tcp", at, disk)
		if err == nil {
			c.Close()
		}
		return err
	}
	serves := map[string]string{addr: "system", host: name}
	renewed := authority(t, filepath.Dir(f.CA))
	newer, err := renewed.Config()
	if err != nil {
		t.Fatal(err)
	}
	newer.ServerName = "localhost"
	for at, disk := range serves {
		if err := dials(newer, at, disk); err != nil {
			t.Errorf("%s does not know the renewed certificate: %v", at, err)
		}
		if err := dials(cfg, at, disk); err == nil {
			t.Errorf("%s takes a certificate of the authority before", at)
		}
	}
	write(t, f.Cert, "half writt") // a renewal that is under way
	for at, disk := range serves {
		if err := dials(newer, at, disk); err != nil {
			t.Errorf("%s: %v", at, err)
		}
	}
}
