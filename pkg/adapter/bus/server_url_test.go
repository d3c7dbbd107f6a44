package bus_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/bus"
)

// What listens at every address is reached at one that a certificate can name.
func TestClientsReachAServerThatListensEverywhere(t *testing.T) {
	srv, err := bus.StartServer(t.Context(), bus.ServerConfig{Site: "dr", StoreDir: t.TempDir(), Listen: "0.0.0.0:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if u := srv.ClientURL(); !strings.HasPrefix(u, "nats://127.0.0.1:") || strings.HasSuffix(u, ":0") {
		t.Error(u)
	}
}
