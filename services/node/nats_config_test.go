package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tidemark.dev/pkg/cdp"
)

// A stock NATS server takes what is printed for it.
func TestASiteMayBringItsOwnServer(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Dir = t.TempDir()
	keys, err := LinkKeys(cfg, []cdp.Site{"prod"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Links = keys
	for _, site := range []cdp.Site{"prod", "dr"} {
		text, err := NATSConfig(cfg, site)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "nats.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		opts, err := server.ProcessConfigFile(path)
		if err != nil {
			t.Fatalf("%s: %v\n%s", site, err, text)
		}
		if opts.JetStreamDomain != string(site) || len(opts.Users) == 0 {
			t.Errorf("%s: domain %q, %d users", site, opts.JetStreamDomain, len(opts.Users))
		}
		if again, err := NATSConfig(cfg, site); err != nil || again != text {
			t.Errorf("%s: the second text is another one: %v", site, err)
		}
	}
	if _, err := NATSConfig(cfg, "moon"); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "no such site") {
		t.Error(err)
	}
}
