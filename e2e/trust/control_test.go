package trust

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tidemark.dev/pkg/adapter/bus"
)

// The control: the attacks find each hole that is opened on purpose, and nothing at a
// server without one.
func TestAHoleIsFound(t *testing.T) {
	t.Parallel()
	for _, hole := range []struct{ name, is, becomes string }{
		{name: "none"},
		{"a verb of a stream", `"$JS.API.STREAM.INFO.EVT"`, `"$JS.API.STREAM.PURGE.EVT"`},
		{"a verb of a consumer", `"$JS.API.CONSUMER.INFO.CMD.journal"`, `"$JS.API.CONSUMER.*.CMD.journal"`},
		{"consumers of a bucket", `"$JS.API.DIRECT.GET.KV_tidemark-state"`, `"$JS.API.CONSUMER.CREATE.KV_tidemark-state.>"`},
		{"an endpoint", `"tidemark.api.v1.dr.journal.status"`, `"tidemark.api.v1.dr.journal.*"`},
	} {
		t.Run(hole.name, func(t *testing.T) {
			url, creds := holed(t, hole.is, hole.becomes)
			var found []string
			for _, role := range roles() {
				a := newAttacker(t, url, creds.Users[role])
				found = append(append(found, a.try(streamAttacks(role))...), wrongCallers(a, role)...)
			}
			if hole.is == "" && len(found) > 0 {
				t.Errorf("found %v", found)
			}
			if hole.is != "" && len(found) == 0 {
				t.Error("not found")
			}
		})
	}
}

// holed starts the server of site dr with a changed configuration.
func holed(t *testing.T, is, becomes string) (url string, creds *bus.Credentials) {
	t.Helper()
	creds = bus.NewCredentials("dr")
	text, err := bus.ServerConfig{Site: "dr", StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Credentials: creds}.Text()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, is) {
		t.Fatalf("nobody has %s", is)
	}
	if is != "" {
		text = strings.ReplaceAll(text, is, becomes)
	}
	opts := &server.Options{}
	if err := opts.ProcessConfigString(text); err != nil {
		t.Fatal(err)
	}
	opts.NoLog, opts.NoSigs = true, true
	ns, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return ns.ClientURL(), creds
}
