package node

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// A password that is refused is not tried so often that the account is locked; one
// that was corrected is, at once.
func TestRefusedLoginIsNotRepeated(t *testing.T) {
	url := siteServer(t)
	sim := vcsim.NewSite(t, vcsim.Config{Name: "dr"})
	where := "url: " + sim.URL() + "\nthumbprint: " + sim.Thumbprint() + "\n"
	dial, put := dialer(t, url)
	file := write(t, dial.e.path(loginDir, "vc.yaml"), where+"username: "+sim.User()+"\npassword: wrong\n")
	put(spec.VSphere{Credentials: "vc"})
	for range 5 {
		if _, err := dial.vcenter(t.Context()); !cdp.Is(err, cdp.Invalid) {
			t.Fatal(err)
		}
	}
	if n := sim.Calls("Login"); n != 1 {
		t.Errorf("%d tries", n)
	}
	write(t, file, where+"username: "+sim.User()+"\npassword: "+sim.Password()+"\n")
	vc, err := dial.vcenter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := dial.vcenter(t.Context()); err != nil || again != vc {
		t.Error(again, err)
	}
}

// dialer connects to the vCenter of site dr; put changes its spec on the bus, as
// whoever may write there can.
func dialer(t *testing.T, url string) (dial *vcenterDial, put func(spec.VSphere)) {
	t.Helper()
	conn := connectAs(t, url, "dr", subjects.VCenter)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, loginDir), 0o700); err != nil {
		t.Fatal(err)
	}
	e := &env{clock: clock.System, site: "dr", peers: []cdp.Site{"prod"}, dir: dir, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	sites, err := openSpecs[spec.Site](t.Context(), e, conn, subjects.KeySite)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.OpenBucket[spec.Site](t.Context(), connectAs(t, url, "dr", subjects.Operator), "dr", subjects.BucketSpec, subjects.KeySite)
	if err != nil {
		t.Fatal(err)
	}
	dial = &vcenterDial{e: e, sites: sites}
	t.Cleanup(dial.close)
	return dial, func(v spec.VSphere) {
		t.Helper()
		if _, err := b.Put(t.Context(), "dr", spec.Site{Name: "dr", Kind: spec.SiteVSphere, VSphere: &v}); err != nil {
			t.Fatal(err)
		}
	}
}

// A spec that was changed on the bus sends the password nowhere else, and makes nobody
// trust another certificate.
func TestAChangedSpecRedirectsNoPassword(t *testing.T) {
	url := siteServer(t)
	sim, evil := vcsim.NewSite(t, vcsim.Config{Name: "dr"}), vcsim.NewSite(t, vcsim.Config{Name: "evil"})
	dial, put := dialer(t, url)
	in := func(name, text string) string { return write(t, dial.e.path(loginDir, name), text) }
	who := "username: " + sim.User() + "\npassword: " + sim.Password() + "\n"
	whole := "url: " + sim.URL() + "\nthumbprint: " + sim.Thumbprint() + "\n" + who
	in("vc.yaml", whole)
	in("old.yaml", who)
	elsewhere := write(t, filepath.Join(t.TempDir(), "vc.yaml"), whole)
	put(spec.VSphere{Credentials: "vc", URL: strings.TrimSuffix(sim.URL(), "/sdk"), Thumbprint: sim.Thumbprint()})
	if _, err := dial.vcenter(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]spec.VSphere{
		"all of it":     {Credentials: "vc", URL: evil.URL(), Thumbprint: evil.Thumbprint()},
		"the address":   {Credentials: "vc", URL: evil.URL()},
		"the trust":     {Credentials: "vc", URL: sim.URL(), Thumbprint: evil.Thumbprint()},
		"an authority":  {Credentials: "vc", CA: in("ca.pem", string(evil.CertPEM()))},
		"a path":        {Credentials: elsewhere},
		"a way out":     {Credentials: "../vcenters/vc"},
		"a file of old": {Credentials: "old", URL: evil.URL(), Thumbprint: evil.Thumbprint()},
	} {
		put(v)
		if _, err := dial.vcenter(t.Context()); !cdp.Is(err, cdp.Invalid) || strings.Contains(err.Error(), sim.Password()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := evil.Calls("Login"); n != 0 {
		t.Errorf("the other vCenter was sent the password %d times", n)
	}
	put(spec.VSphere{Credentials: "vc"})
	if _, err := dial.vcenter(t.Context()); err != nil {
		t.Error("the spec was put right:", err)
	}
}
