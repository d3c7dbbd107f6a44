package node

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
)

// A site whose server runs alone, and each of whose services runs apart with a file
// that holds its own user only, works: every service takes requests.
func TestASiteRunsInParts(t *testing.T) {
	dir, secrets := t.TempDir(), filepath.Join(t.TempDir(), "secrets")
	cfg := Config{Dir: dir, Sites: []SiteConfig{{Name: "dr", Listen: "127.0.0.1:0", Leaf: "127.0.0.1:0", Services: []string{}}, {Name: "prod"}}, Links: []LinkConfig{{From: "prod", To: "dr"}}}
	keys, err := LinkKeys(cfg, []cdp.Site{"prod"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Links = keys
	files, err := Secrets(cfg, "dr", secrets)
	if err != nil || len(files) != len(Services()) {
		t.Fatal(files, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	log := slog.New(slog.DiscardHandler)
	up := make(chan client.SiteRef, 1)
	wg.Go(func() {
		if err := Up(ctx, cfg, []cdp.Site{"dr"}, log, func(s Started) { up <- s.Context.Sites["dr"] }); err != nil {
			t.Error(err)
			cancel()
		}
	})
	var ref client.SiteRef
	select {
	case ref = <-up:
	case <-ctx.Done():
		t.Fatal("the server does not come up")
	}
	if err := Health(ctx, HealthConfig{Site: "dr", Bus: ref}); err != nil {
		t.Fatal(err)
	}
	alone := client.SiteRef{URL: ref.URL}
	for _, s := range Services() {
		own := filepath.Join(secrets, s+".json")
		wg.Go(func() {
			c := ServeConfig{Site: "dr", Peers: []cdp.Site{"prod"}, Dir: dir, Bus: alone, Services: []string{s}, Credentials: own}
			if err := Serve(ctx, c, log, func() {}); err != nil {
				t.Error(s, err)
			}
		})
		for {
			err := Health(ctx, HealthConfig{Site: "dr", Bus: alone, Service: s, Credentials: own})
			if err == nil {
				break
			}
			if clock.Sleep(ctx, clock.System, 20*time.Millisecond) != nil {
				t.Fatal(s, err)
			}
		}
	}
}

// A service is not started with a file that cannot serve it.
func TestServeRefusesCredentialsThatDoNotDo(t *testing.T) {
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Dir = dir
	if _, err := Secrets(cfg, "dr", dir); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]ServeConfig{
		"no user for the service journal": {Services: []string{"capture", "journal"}, Peers: []cdp.Site{"prod"}},
		"which sites dr is linked with":   {Services: []string{"capture"}},
	} {
		c.Site, c.Dir, c.Credentials = "dr", dir, filepath.Join(dir, "capture.json")
		err := Serve(t.Context(), c, slog.New(slog.DiscardHandler), func() { t.Error("it serves") })
		if !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), want) || cdp.HintOf(err) == "" {
			t.Errorf("want %q: %v", want, err)
		}
	}
	cfg.Open = true
	if _, err := Secrets(cfg, "dr", dir); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
}
