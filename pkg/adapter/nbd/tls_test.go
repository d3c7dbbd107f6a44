package nbd

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

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

// TestTLSTools speaks TLS 1.3 with the real clients, over TCP, with keys of
// either kind.
func TestTLSTools(t *testing.T) {
	for kind, newKey := range map[string]func() (crypto.Signer, error){"ECDSA": ecdsaKey, "RSA": sync.OnceValues(rsaKey)} {
		t.Run(kind, func(t *testing.T) {
			a := newAuthorityOf(t, newKey)
			cfg := a.server()
			cfg.MinVersion = tls.VersionTLS13
			a.client()
			_, addr := serveTCP(t, Config{TLS: cfg}, Export{Name: "d", Backend: newDisk(t, 8<<20)})
			_, port, _ := net.SplitHostPort(addr)

			out := tool(t, "nbdinfo", "nbds://localhost:"+port+"/d?tls-certificates="+a.dir)
			if !strings.Contains(out, "with TLS") || !strings.Contains(out, "export-size: 8388608") {
				t.Errorf("nbdinfo: %s", out)
			}
			qemu := func(dir string) (string, error) {
				return toolErr(t, "qemu-io", "--object", "tls-creds-x509,id=t,endpoint=client,dir="+dir,
					"--image-opts", "driver=nbd,host=localhost,port="+port+",export=d,tls-creds=t",
					"-c", "write -P 5 0 1M", "-c", "flush", "-c", "read -P 5 0 1M")
			}
			if out, err := qemu(a.dir); err != nil {
				t.Errorf("qemu-io: %v %s", err, out)
			}
			if out, err := toolErr(t, "nbdinfo", "nbd://localhost:"+port+"/d"); err == nil {
				t.Errorf("nbdinfo without TLS: %s", out)
			}
			// A certificate of somebody else, and one that is for a server only.
			stranger := newAuthority(t)
			stranger.client()
			must(t, os.Rename(filepath.Join(a.dir, "ca-cert.pem"), filepath.Join(stranger.dir, "ca-cert.pem")))
			if out, err := qemu(stranger.dir); err == nil {
				t.Errorf("qemu-io with a stranger's certificate: %s", out)
			}
			wrong := a.client()
			wrong.Certificates = cfg.Certificates
			if c, err := (Dialer{TLS: wrong}).Dial(t.Context(), "tcp", "localhost:"+port, "d"); err == nil {
				c.Close()
				t.Error("connected with a certificate that is not for clients")
			}
		})
	}
}
