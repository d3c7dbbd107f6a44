package spec

import (
	"path/filepath"
	"strings"
	"testing"
)

// However long the names of jobs and runs are, their sockets have paths that the kernel
// takes, each its own, and the same after a restart.
func TestSocketsOfLongNamesHaveShortPaths(t *testing.T) {
	const dir = "/var/lib/tidemark/dr/journal/exports"
	if got := SocketPath(dir, "web/x-1/nbd.sock"); got != dir+"/web/x-1/nbd.sock" {
		t.Errorf("a short name became %s", got)
	}
	seen := map[string]bool{}
	for _, id := range []string{"a", "b"} {
		name := filepath.Join(strings.Repeat("g", 63), strings.Repeat(id, 40), "nbd.sock")
		path := SocketPath(dir, name)
		if len(path) > maxSocketPath || filepath.Dir(path) != dir || seen[path] || path != SocketPath(dir, name) {
			t.Errorf("%s became %s", name, path)
		}
		seen[path] = true
		if err := CheckListen(path); err != nil {
			t.Error(err)
		}
	}
}
