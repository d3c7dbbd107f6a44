package robustness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/e2e/robustness/sites"
)

// world is a lane between the two sites of a pair.
type world struct {
	*lane
	*sites.Pair
	// machine is what capture finds at other paths, by path here: see elsewhere.
	machine map[string]string
}

// option changes a world before it starts.
type option func(*world, *sites.Config)

func upAsOne(_ *world, c *sites.Config) { c.Up = true }

func newWorld(t *testing.T, mode string, opts ...option) *world {
	t.Helper()
	rng, seed := newRand(t)
	dir := t.TempDir()
	if *keepFlag != "" {
		dir = filepath.Join(*keepFlag, strings.ReplaceAll(t.Name(), "/", "-"))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{lane: newLane(t, rng, seed, dir, "prod", "dr")}
	cfg := sites.Config{Dir: w.dir, Bin: bin, Job: w.job}
	for _, o := range opts {
		o(w, &cfg)
	}
	if w.machine != nil {
		cfg.Capture = func(p *proc.Process) { onMachine(p, w.machine) }
	}
	w.Pair = sites.Start(t, cfg)
	w.tidemark = w.Tidemark
	var err error
	if w.conn, err = w.Connect(t.Context(), "dr"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.conn.Close)
	w.protect(mode)
	return w
}
