package journal

import (
	"math/rand/v2"
	"os"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/seedtest"
)

// Images that hold a seed already are taken as they are: only the differences
// come, and the replica holds both in the end.
func TestAnOldReplicaIsAdopted(t *testing.T) {
	seed := seedtest.Seed(t)
	for _, mode := range []cdp.JournalMode{cdp.Rollback, cdp.RollForward} {
		t.Run(string(mode), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 15))
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), adopt: true}
			w := newTraffic(s, 16)
			s.start(mode) // without its images the group waits for them
			s.until("the refusal", func() bool {
				st := must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{}).Groups[0]
				return st.State == event.JournalFailed
			})
			for i, path := range s.images() {
				b := make([]byte, testDisks[i].Size)
				for at := 0; at < len(b); at += 512 {
					if rng.IntN(3) > 0 {
						b[at], b[at+511] = byte(rng.Uint32()|1), 7
					}
				}
				w.base = append(w.base, b)
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s.until("the journal", func() bool {
				_, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"})
				return err == nil
			})
			w.seeding = true
			w.mustSend(10)
			s.shut()
			s.start(mode)
			w.mustSend(10)
			w.seeding = false
			w.mustSend(20)
			points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
			for _, p := range []cdp.Point{points[len(points)/2], points[0], points[len(points)-1]} {
				must[cdp.Bounds](s, api.JournalHalt, run1)
				s.untilBase("r1", p.Seq)
				same(t, w.at(p.Seq), s.images())
				must[cdp.Bounds](s, api.JournalResume, run1)
			}
			s.shut()
		})
	}
}
