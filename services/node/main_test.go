package node

import (
	"io"
	"log/slog"
	"os"
	"testing"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// siteServer is the URL of an open server of the site dr that is set up, with
// prod as its peer.
func siteServer(t *testing.T) string {
	t.Helper()
	srv, err := bus.StartServer(t.Context(), bus.ServerConfig{Site: "dr", StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	e := &env{clock: clock.System, site: "dr", peers: []cdp.Site{"prod"}, dir: t.TempDir(), log: slog.New(slog.NewTextHandler(io.Discard, nil)), tel: telemetry.Off(), dial: bus.Config{URL: srv.ClientURL()}}
	if err := setUp(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return srv.ClientURL()
}

func connectAs(t *testing.T, url string, site cdp.Site, service string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(t.Context(), bus.Config{Site: site, Name: service, URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
