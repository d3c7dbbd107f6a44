package node

import (
	"log/slog"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// Memory for windows that would not hold one is refused before anything is started.
func TestServeRefusesTooLittleMemoryForWindows(t *testing.T) {
	err := Serve(t.Context(), ServeConfig{Site: "prod", Dir: t.TempDir(), Windows: 1 << 20}, slog.New(slog.DiscardHandler), func() { t.Error("it serves") })
	if !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "32MiB") {
		t.Error(err)
	}
}
