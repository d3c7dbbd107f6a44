package node

import (
	"io"
	"log/slog"
	"path/filepath"
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
	file := write(t, filepath.Join(t.TempDir(), "vc.yaml"), "username: "+sim.User()+"\npassword: wrong\n")
	conn := connectAs(t, url, "dr", subjects.VCenter)
	e := &env{clock: clock.System, site: "dr", peers: []cdp.Site{"prod"}, dir: t.TempDir(), log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	sites, err := openSpecs[spec.Site](t.Context(), e, conn, subjects.KeySite)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.OpenBucket[spec.Site](t.Context(), connectAs(t, url, "dr", subjects.Operator), "dr", subjects.BucketSpec, subjects.KeySite)
	if err == nil {
		_, err = b.Put(t.Context(), "dr", spec.Site{Name: "dr", Kind: spec.SiteVSphere, VSphere: &spec.VSphere{URL: sim.URL(), Thumbprint: sim.Thumbprint(), Credentials: file}})
	}
	if err != nil {
		t.Fatal(err)
	}
	dial := &vcenterDial{e: e, sites: sites}
	defer dial.close()
	for range 5 {
		if _, err := dial.vcenter(t.Context()); !cdp.Is(err, cdp.Invalid) {
			t.Fatal(err)
		}
	}
	if n := sim.Calls("Login"); n != 1 {
		t.Errorf("%d tries", n)
	}
	write(t, file, "username: "+sim.User()+"\npassword: "+sim.Password()+"\n")
	vc, err := dial.vcenter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := dial.vcenter(t.Context()); err != nil || again != vc {
		t.Error(again, err)
	}
}
