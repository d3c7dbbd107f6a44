package nbd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority makes certificates for a test, in the files that libnbd and QEMU
// look for.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	der := a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, _ = x509.ParseCertificate(der.Certificate[0])
	a.key = der.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// issue writes name-cert.pem and name-key.pem; the first one signs itself.
func (a *authority) issue(name string, tmpl *x509.Certificate) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	tmpl.SerialNumber = big.NewInt(time.Now().UnixNano())
	tmpl.Subject = pkix.Name{CommonName: name}
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
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

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	var peer Peer
	connected := make(chan struct{}, 10)
	gone := make(chan bool, 10)
	r := newRig(t, Config{TLS: a.server()}, Export{Name: "d", Backend: newDisk(t, 8<<20), MultiConn: true,
		OnConnect:    func(p Peer) error { peer = p; connected <- struct{}{}; return nil },
		OnDisconnect: func(_ Peer, clean bool) { gone <- clean }})
	good := a.client()
	c := r.dialWith(Dialer{TLS: good}, "d")
	<-connected
	if peer.TLS == nil || peer.TLS.PeerCertificates[0].Subject.CommonName != "client" {
		t.Errorf("the hook sees %+v", peer.TLS)
	}
	buf := make([]byte, 1<<20)
	_, err := c.WriteAt(buf, 0)
	must(t, err)
	_, err = c.ReadAt(buf, 512)
	must(t, err)
	must(t, c.Flush())
	must(t, c.Close())
	if !<-gone {
		t.Error("a disconnect over TLS is not clean")
	}

	for what, d := range map[string]Dialer{
		"no TLS":         {},
		"no certificate": {TLS: &tls.Config{RootCAs: a.pool, ServerName: "localhost"}},
		"wrong server":   {TLS: &tls.Config{RootCAs: a.pool, ServerName: "elsewhere", Certificates: good.Certificates}},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if c, err := d.Dial(ctx, "unix", r.sock, "d"); err == nil {
			t.Errorf("%s: connected", what)
			c.Close()
		}
		cancel()
	}
	raw := r.raw()
	raw.write(clientFlags(3), option(optList, nil))
	if typ, _ := raw.optReply(); typ != repErrTLSReqd {
		t.Errorf("LIST without TLS: %#x", typ)
	}
	raw.write(option(optExportName, []byte("d")))
	raw.closed("EXPORT_NAME without TLS")
}

func TestTLSRefusedByPlainServer(t *testing.T) {
	r := newRig(t, Config{}, Export{Backend: newMemory(512)})
	_, err := Dialer{TLS: &tls.Config{}}.Dial(context.Background(), "unix", r.sock, "")
	if !errors.Is(err, ErrRefused) {
		t.Errorf("STARTTLS with a plain server: %v", err)
	}
}

// TestTLSDrain ends a connection that is idle inside TLS.
func TestTLSDrain(t *testing.T) {
	a := newAuthority(t)
	r := newRig(t, Config{TLS: a.server(), DrainTimeout: 2 * time.Minute}, Export{Backend: newMemory(512)})
	r.dialWith(Dialer{TLS: a.client()}, "")
	start := time.Now()
	r.stop()
	if d := time.Since(start); d > time.Minute {
		t.Errorf("the end took %v", d)
	}
}

// TestTLSTools speaks TLS with the real clients, over TCP.
func TestTLSTools(t *testing.T) {
	a := newAuthority(t)
	cfg := a.server()
	a.client()
	s := New(Config{TLS: cfg})
	must(t, s.AddExport(Export{Name: "d", Backend: newDisk(t, 8<<20)}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	defer func() { cancel(); must(t, <-done) }()
	_, port, _ := net.SplitHostPort(l.Addr().String())

	out := tool(t, "nbdinfo", "nbds://localhost:"+port+"/d?tls-certificates="+a.dir)
	if !strings.Contains(out, "with TLS") || !strings.Contains(out, "export-size: 8388608") {
		t.Errorf("nbdinfo: %s", out)
	}
	creds := "tls-creds-x509,id=t,endpoint=client,dir=" + a.dir
	image := "driver=nbd,host=localhost,port=" + port + ",export=d,tls-creds=t"
	tool(t, "qemu-io", "--object", creds, "--image-opts", image, "-c", "write -P 5 0 1M", "-c", "flush", "-c", "read -P 5 0 1M")
	if out, err := toolErr(t, "nbdinfo", "nbd://localhost:"+port+"/d"); err == nil {
		t.Errorf("nbdinfo without TLS: %s", out)
	}
}
