// Package seedtest gives random tests their seed. It is for tests only.
package seedtest

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

var given = flag.Uint64("seed", 0, "seed of the random tests; 0: that of TIDEMARK_SEED, else a fixed one")

// Seed is the seed of -seed, or of the environment's TIDEMARK_SEED, which reaches
// all packages of a run; else it is always the same. The test's log says how to
// run it again.
func Seed(t testing.TB) uint64 {
	t.Helper()
	s := *given
	if text := os.Getenv("TIDEMARK_SEED"); s == 0 && text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("TIDEMARK_SEED: %v", err)
		}
	}
	if s == 0 {
		s = 20261122
	}
	t.Logf("seed %d; again with -run %s -seed %d", s, t.Name(), s)
	return s
}
