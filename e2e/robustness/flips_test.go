package robustness

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	verdict "tidemark.dev/pkg/core/health"
)

var (
	flipRounds = flag.Int("flip-rounds", 3, "rounds of TestAFlippedBitOfAStoppedSite; make soak has 200")
	flipFrom   = flag.Int("flip-from", 0, "the first round of TestAFlippedBitOfAStoppedSite")
)

// A bit flips in any file of a stopped installation of two jobs: stores, replicas,
// JetStream, KV, dirty maps, windows, credentials. After the start every recovery
// point reads back exactly, or is refused or missing and something says why, by
// name. A flip in a file of one job does not harm the other. Nothing is ever wrong
// without a word.
func TestAFlippedBitOfAStoppedSite(t *testing.T) {
	t.Parallel()
	seed := *seedFlag
	if seed == 0 && *flipRounds <= 10 {
		seed = 20261130 // a new one is for make soak
	} else if seed == 0 {
		seed = uint64(rand.Uint32())
	}
	t.Logf("replay with: make soak SEED=%d", seed)
	s := newFlipSite(t, seed)
	for i := *flipFrom; i < *flipFrom+*flipRounds; i++ {
		rng := rand.New(rand.NewPCG(seed, uint64(i)+100))
		how := []string{"killed", "stopped"}[rng.IntN(2)]
		s.restore(how)
		file, at, bit := s.flip(rng)
		name := fmt.Sprintf("round %d (-seed %d -flip-from %d -flip-rounds 1): bit %d of byte %d of %s, %s", i, seed, i, bit, at, s.short(file), how)
		if testing.Verbose() {
			t.Log(name)
		}
		for _, bad := range s.round(file) {
			t.Errorf("%s: %s", name, bad)
		}
	}
}

// round starts the damaged installation, and says what is wrong with it beyond what
// it says itself.
func (s *flipSite) round(file string) (bad []string) {
	if err := s.up.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer s.kill()
	ctx, cancel := context.WithTimeout(s.t.Context(), 4*time.Minute)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		if log := s.up.Tail(4000); s.up.Running() == nil || !strings.Contains(log, filepath.Base(file)) && !strings.Contains(log, filepath.Base(filepath.Dir(file))) {
			return []string{fmt.Sprintf("it is not up, and does not name the file: %v; the log ends\n%s", err, log)}
		}
		return nil // it says what it cannot read
	}
	defer s.client.Close()
	hurt := s.owner(file)
	for _, j := range s.jobs {
		harmed, err := s.check(ctx, j)
		switch {
		case err != nil:
			bad = append(bad, fmt.Sprintf("job %s: %v", j.name, err))
		case harmed != "" && hurt != nil && hurt != j:
			bad = append(bad, fmt.Sprintf("job %s, whose file it is not, is harmed: %s", j.name, harmed))
		}
	}
	return bad
}

// check reads every point that was made of a job. harmed says what cannot be had any
// more, for a reason that is given. The error is what is wrong, or lacks a reason.
func (s *flipSite) check(ctx context.Context, j *flipJob) (harmed string, err error) {
	reason, points, err := s.settled(ctx, j)
	if err != nil {
		return "", err
	}
	for _, want := range j.points[:s.made] {
		i := slices.IndexFunc(points, func(p cdp.Point) bool { return p.Frame == want.point.Frame })
		if i < 0 {
			if reason == "" {
				return "", fmt.Errorf("point %s is gone, and nothing says why", want.point.ID())
			}
			harmed = want.point.ID() + " is gone: " + reason
			continue
		}
		if points[i].Seq != want.point.Seq || !slices.Equal(points[i].Tags, want.point.Tags) {
			return "", fmt.Errorf("point %+v has become %+v", want.point, points[i])
		}
		got, err := s.read(ctx, j, points[i])
		switch {
		case err != nil && !cdp.Is(err, cdp.Corrupt) && !strings.Contains(err.Error(), "input/output error"):
			return "", fmt.Errorf("point %s cannot be read: %w", want.point.ID(), err)
		case err != nil:
			harmed = err.Error()
		case !bytes.Equal(got, want.disk):
			return "", fmt.Errorf("point %s reads back wrong", want.point.ID())
		}
	}
	if harmed != "" { // a damaged read was noted meanwhile
		if reason, _, err = s.settled(ctx, j); err == nil && reason == "" {
			err = fmt.Errorf("%s, and the status does not say that anything is damaged", harmed)
		}
	}
	return harmed, err
}

// settled waits until the job's journal lists its points, or says why it does not,
// and returns what the status says of damage and loss.
func (s *flipSite) settled(ctx context.Context, j *flipJob) (reason string, points []cdp.Point, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		g, err := s.client.GroupStatus(ctx, j.name)
		if err == nil {
			reason = said(g)
			// The journal may have found out between the two questions.
			if points, err = s.client.Points(ctx, j.name); err == nil || reason != "" && namesDamage(err.Error()) {
				return reason, points, nil
			}
			err = fmt.Errorf("%w; %s: %v", err, g.State, g.Problems)
		}
		select {
		case <-ctx.Done():
			return "", nil, fmt.Errorf("its journal lists no points, and nothing says that something is damaged: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// namesDamage reports whether a text says of something that it is damaged or lost.
func namesDamage(text string) bool {
	return slices.ContainsFunc([]string{"damaged", "were lost", "is gone", "is not as it was"}, func(w string) bool { return strings.Contains(text, w) })
}

// said is what a status says of damage and loss.
func said(g verdict.Group) string {
	var out []string
	for _, p := range g.Problems {
		if namesDamage(p.Text) {
			out = append(out, p.Text)
		}
	}
	return strings.Join(out, "; ")
}
