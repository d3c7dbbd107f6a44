package vsphere_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/adapter/vsphere"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// connect dials and closes at the test's end.
func connect(t *testing.T, cfg vsphere.Config) (*vsphere.Client, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	c, err := vsphere.Dial(ctx, cfg)
	if err == nil {
		t.Cleanup(func() { _ = c.Close(context.Background()) })
	} else if cfg.Password != "" && strings.Contains(err.Error()+cdp.HintOf(err)+fmt.Sprintf("%+v", err), cfg.Password) {
		t.Errorf("the error has the password: %v", err)
	}
	return c, err
}

func TestTrust(t *testing.T) {
	s := vcsim.NewSite(t, vcsim.Config{})
	good := simConfig(s)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(s.CertPEM())
	sum := sha1.Sum(block.Bytes)
	other := vcsim.NewSite(t, vcsim.Config{Name: "other"})
	otherCA := filepath.Join(t.TempDir(), "other.pem")
	if err := os.WriteFile(otherCA, other.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		print, ca string
		kind      cdp.Kind
		says      []string
	}{
		"thumbprint":       {print: s.Thumbprint()},
		"lower case":       {print: strings.ToLower(strings.ReplaceAll(s.Thumbprint(), ":", ""))},
		"SHA-1":            {print: hex.EncodeToString(sum[:])},
		"CA":               {ca: ca},
		"both":             {print: s.Thumbprint(), ca: ca},
		"neither":          {kind: cdp.Invalid, says: []string{"not trusted", s.Thumbprint()}},
		"wrong thumbprint": {print: other.Thumbprint(), kind: cdp.Invalid, says: []string{s.Thumbprint(), other.Thumbprint(), "intercepts"}},
		"wrong CA":         {ca: otherCA, kind: cdp.Invalid, says: []string{"CA file", s.Thumbprint()}},
		"only one right":   {print: s.Thumbprint(), ca: otherCA, kind: cdp.Invalid, says: []string{"CA file"}},
		"no thumbprint":    {print: "AB:CD", kind: cdp.Invalid, says: []string{"SHA-256"}},
		"no CA":            {ca: filepath.Join(t.TempDir(), "none"), kind: cdp.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			cfg.Thumbprint, cfg.CAFile = c.print, c.ca
			_, err := connect(t, cfg)
			if c.kind == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantError(t, err, c.kind, c.says...)
		})
	}
	if n := s.Calls("Login"); n != 5 {
		t.Errorf("the password was sent %d times", n)
	}
}

func TestURLs(t *testing.T) {
	s := vcsim.NewSite(t, vcsim.Config{})
	cfg := simConfig(s)
	host := strings.TrimSuffix(strings.TrimPrefix(s.URL(), "https://"), "/sdk")
	for _, u := range []string{host, "https://" + host, "https://" + host + "/", "https://somebody:secret@" + host + "/sdk"} {
		cfg.URL = u
		if _, err := connect(t, cfg); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	cfg.URL = "http://" + host
	_, err := connect(t, cfg)
	wantError(t, err, cdp.Invalid, "https")
	for _, u := range []string{"", "https://a:secret@%zz", ":"} {
		cfg.URL = u
		_, err := connect(t, cfg)
		wantError(t, err, cdp.Invalid, "URL")
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error has a password: %v", err)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	s := vcsim.NewSite(t, vcsim.Config{})
	cfg := simConfig(s)
	cfg.Password = "not-this-one"
	_, err := connect(t, cfg)
	wantError(t, err, cdp.Invalid, "user name or password", "credentials file")
}

func TestUnreachable(t *testing.T) {
	s := vcsim.NewSite(t, vcsim.Config{})
	s.Stop()
	_, err := connect(t, simConfig(s))
	wantError(t, err, cdp.Transient, "cannot reach", "443")
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, simConfig(s)); err != nil {
		t.Error(err)
	}
}

// A server that never answers blocks nobody for ever.
func TestSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = connect(t, vsphere.Config{URL: "https://" + l.Addr().String(), User: "u", Password: "pwpw", Timeout: 300 * time.Millisecond})
	wantError(t, err, cdp.Transient, "in time")
}

func TestSomethingElseAnswers(t *testing.T) {
	for status, kind := range map[int]cdp.Kind{404: cdp.Invalid, 503: cdp.Transient, 502: cdp.Transient, 200: cdp.Transient} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, "<html><p>hello")
		}))
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := connect(t, vsphere.Config{URL: s.URL, CAFile: file, User: "u", Password: "pwpw"})
		s.Close()
		if !cdp.Is(err, kind) {
			t.Errorf("%d is %s: %v", status, cdp.KindOf(err), err)
		}
	}
}

func TestSessionExpires(t *testing.T) {
	e := target(t, vcsim.Config{})
	made, err := e.sim.AddVM(vcsim.VMSpec{Name: "a"})
	e.must(err)
	before := e.sim.Calls("Login")
	e.sim.ExpireSessions()
	// Many notice at once; one logs in.
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := e.c.VM(e.ctx, made.UUID)
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := e.sim.Calls("Login") - before; n != 1 {
		t.Errorf("it was logged in %d times", n)
	}
	e.sim.ExpireSessions()
	e.must(e.c.Label(e.ctx, inventory.Ref(made.Ref.String()), "", "changed", nil))
}

// A changed password is not tried so often that the account is locked.
func TestRefusedIsNotRepeated(t *testing.T) {
	e := target(t, vcsim.Config{})
	e.sim.ExpireSessions()
	e.sim.Fault("Login", &types.InvalidLogin{}, 100)
	before := e.sim.Calls("Login")
	for range 10 {
		_, err := e.c.Inventory(e.ctx)
		e.is(err, cdp.Invalid, "password")
	}
	if n := e.sim.Calls("Login") - before; n != 1 {
		t.Errorf("the wrong password was sent %d times", n)
	}
	e.is(e.c.Watch(e.ctx, func() {}), cdp.Invalid, "password")
	e.sim.Fault("Login", &types.InvalidLogin{}, 0)
}
