package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/certtest"
	"tidemark.dev/pkg/client"
	"tidemark.dev/services/node"
)

// A real QEMU mirrors a disk to an NBD server that wants certificates.
func TestATapReachesASiteWithCertificates(t *testing.T) {
	dir, err := os.MkdirTemp("", "tap") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	files := certtest.New(t).Issue(dir)
	files.ForClients(t)
	content := bytes.Repeat([]byte("tap "), 1<<18)
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
	if err := os.WriteFile(source, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, make([]byte, len(content)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := bus.TLSFiles(files).Config()
	if err != nil {
		t.Fatal(err)
	}
	f, err := blockfile.Open(target, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := nbd.Serve("127.0.0.1:0", nbd.Config{TLS: cfg}, nbd.Export{Name: "d", Backend: f})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	address := strings.TrimSuffix(strings.TrimPrefix(s.URI("d"), "nbds://"), "/d")

	mon := filepath.Join(dir, "mon")
	q := exec.CommandContext(ctx, "qemu-storage-daemon", "--chardev", "socket,id=mon,server=on,wait=off,path="+mon,
		"--monitor", "chardev=mon", "--blockdev", "driver=file,node-name=src,filename="+source)
	if err := q.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { q.Process.Kill(); q.Wait() }()

	bare, done := dialMirror(t, ctx, mon, "")
	err = bare.Start(ctx, client.MirrorTarget{Address: address, Export: "d", Copy: true})
	if err == nil || !strings.Contains(cdp.HintOf(err), "--tls-creds") {
		t.Errorf("without credentials: %v (hint %q)", err, cdp.HintOf(err))
	}
	done()
	m, done := dialMirror(t, ctx, mon, dir)
	defer done()
	if err := m.Start(ctx, client.MirrorTarget{Address: address, Export: "d", Copy: true, Speed: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.End(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the copy differs (%v)", err)
	}
}

// dialMirror connects to QEMU once it listens. The monitor serves one client at a
// time.
func dialMirror(t *testing.T, ctx context.Context, mon, creds string) (client.Mirror, func()) {
	t.Helper()
	for {
		m, done, err := node.QEMU(mon, "d", "src", creds)(ctx, "web")
		if err == nil {
			return m, done
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
