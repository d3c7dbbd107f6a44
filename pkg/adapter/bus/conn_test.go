package bus_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// A server whose messages are too short for a frame is refused when a service
// connects, not when the first long frame is sent, again and again.
func TestAServerForShortMessagesIsRefused(t *testing.T) {
	t.Parallel()
	cfg := bus.ServerConfig{Site: "prod", StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Credentials: bus.NewCredentials("prod")}
	srv, err := bus.StartEdited(t.Context(), cfg, func(text string) string { return text + "\nmax_payload: 512KB\n" })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	c, err := bus.Connect(t.Context(), bus.Config{Site: "prod", Name: subjects.Capture, Server: srv, Credential: cfg.Credentials.Users[subjects.Capture]})
	if err == nil {
		c.Close()
	}
	if !cdp.Is(err, cdp.Invalid) || !strings.Contains(cdp.HintOf(err), "max_payload") {
		t.Error(err)
	}
}
