package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// Three commands join two sites, each on a machine of its own.
func TestSitesAreJoinedByCommand(t *testing.T) {
	t.Parallel()
	prod, dr := filepath.Join(t.TempDir(), "prod"), filepath.Join(t.TempDir(), "dr")
	var in string
	do := func(code int, dir string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(t.Context(), append(args, "--dir", dir), strings.NewReader(in), &out, &errs); got != code {
			t.Fatalf("%v: exit code %d, want %d: %s", args, got, code, errs.String())
		}
		return strings.TrimSpace(out.String())
	}
	do(exitUsage, dr, "site", "invite", "prod", "--for", "720h")
	do(exitUsage, dr, "site", "invite", "moon")
	invitation := do(0, dr, "site", "invite", "prod")
	do(exitUsage, prod, "site", "join") // from nothing
	do(exitUsage, prod, "site", "join", invitation)
	in = invitation + "\n"
	answer := do(0, prod, "site", "join")
	in = ""
	do(exitUsage, dr, "site", "accept", invitation)
	do(0, dr, "site", "accept", answer)
	do(exitNotFound, dr, "site", "accept", answer)
	wants(t, do(0, dr, "site", "nats-config", "dr"), "nkey")
}
