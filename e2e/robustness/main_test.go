package robustness

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/e2e/robustness/sites"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "seed of the run; 0: a new one")
	roundsFlag = flag.Int("rounds", 6, "faults per run of TestCrash; 200 is a long one")
	cutFlag    = flag.Duration("cut", 20*time.Second, "how long TestLink cuts the link")
	raceFlag   = flag.Bool("race-binary", false, "build the product with the race detector")
	keepFlag   = flag.String("keep", "", "directory to keep the files of a run in")
)

var bin sites.Binaries

func TestMain(m *testing.M) {
	if binds := os.Getenv(envBind); binds != "" {
		fmt.Fprintln(os.Stderr, elsewhere(binds))
		os.Exit(1)
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tmrobust")
	if err == nil {
		defer os.RemoveAll(dir)
		bin, err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds the product and a stock NATS server, of the versions that the
// modules say.
func build(dir string) (sites.Binaries, error) {
	b := sites.Binaries{Tidemark: filepath.Join(dir, "tidemark"), NATS: filepath.Join(dir, "nats-server")}
	for out, what := range map[string]string{b.Tidemark: "tidemark.dev/services/tidemark", b.NATS: "github.com/nats-io/nats-server/v2"} {
		args := []string{"build", "-o", out}
		if *raceFlag && out == b.Tidemark {
			args = append(args, "-race")
		}
		if msg, err := exec.Command("go", append(args, what)...).CombinedOutput(); err != nil {
			return b, fmt.Errorf("build %s: %w\n%s", what, err, msg)
		}
	}
	return b, nil
}

// newRand is the test's own randomness; the seed is logged.
func newRand(t *testing.T) (*rand.Rand, uint64) {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(rand.Uint32())
	}
	t.Logf("replay with: go test ./e2e/robustness -run '%s' -seed %d -rounds %d", t.Name(), seed, *roundsFlag)
	return rand.New(rand.NewPCG(seed, 1)), seed
}
