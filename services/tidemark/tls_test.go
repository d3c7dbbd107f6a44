package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/certtest"
)

// With certificates, a disk over TCP is served to those who show one, and to
// nobody else; so is an export at the target.
func TestDisksOverTCPAskForACertificate(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	a := certtest.New(t)
	f := bus.TLSFiles(a.Issue(t.TempDir(), "tidemark:web"))
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
	other, err := bus.TLSFiles(a.Issue(t.TempDir(), "tidemark:shop")).Config()
	if err != nil {
		t.Fatal(err)
	}
	other.ServerName = "localhost"
	if _, err := (nbd.Dialer{TLS: other}).Dial(context.Background(), "tcp", addr, "system"); !errors.Is(err, nbd.ErrRefused) {
		t.Fatal("a client with a certificate for another job:", err)
	}
	// A failover that would serve the disks where that is not allowed stops nothing.
	if _, errs := l.do(exitUsage, "failover", "web", "--mode", "test", "--listen", "/nowhere/x.sock"); !strings.Contains(errs, "for sockets") {
		t.Error(errs)
	}
	l.until("protected", "status")
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
	if _, err := (nbd.Dialer{TLS: other}).Dial(context.Background(), "tcp", host, name); !errors.Is(err, nbd.ErrRefused) {
		t.Fatal("an export was served to a client with a certificate for another job:", err)
	}

	renews(t, f, cfg, map[string]string{addr: "system", host: name})
}

// renews checks that the disks at some addresses are served with a renewed certificate, of
// another authority, without another word.
func renews(t *testing.T, f bus.TLSFiles, before *tls.Config, serves map[string]string) {
	dials := func(cfg *tls.Config, at, disk string) error {
		c, err := nbd.Dialer{TLS: cfg}.Dial(context.Background(), "tcp", at, disk)
		if err == nil {
			c.Close()
		}
		return err
	}
	renewed := bus.TLSFiles(certtest.New(t).Issue(filepath.Dir(f.CA), "tidemark:web"))
	newer, err := renewed.Config()
	if err != nil {
		t.Fatal(err)
	}
	newer.ServerName = "localhost"
	for at, disk := range serves {
		if err := dials(newer, at, disk); err != nil {
			t.Errorf("%s does not know the renewed certificate: %v", at, err)
		}
		if err := dials(before, at, disk); err == nil {
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
