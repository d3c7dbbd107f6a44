package journal

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/seedtest"
)

// Checksums are of what a disk holds at the seq in the reply: while a seed goes
// straight into the replica, and afterwards, in both modes.
func TestSumsAreOfHead(t *testing.T) {
	seed := seedtest.Seed(t)
	for _, mode := range []cdp.JournalMode{cdp.Rollback, cdp.RollForward} {
		t.Run(string(mode), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 14))
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(mode)
			w := newTraffic(s, 13)
			w.seeding = true
			w.mustSend(5)
			check := func() {
				t.Helper()
				d := testDisks[rng.IntN(2)]
				r := api.SumsRequest{Group: "g", Disk: d.ID, Block: []int64{512, 4096, 65536, cdp.RegionSize, 4 << 20}[rng.IntN(5)]}
				r.Off = rng.Int64N(d.Size/512) * 512
				r.N = min(d.Size-r.Off, 1+rng.Int64N(2<<20))
				got := must[api.SumsReply](s, api.JournalSums, r)
				content := w.at(got.Seq)[d.ID]
				var want []byte
				for off := r.Off; off < r.Off+r.N; off += r.Block {
					h := sha256.Sum256(content[off:min(off+r.Block, r.Off+r.N)])
					want = append(want, h[:]...)
				}
				if string(want) != string(got.Sums) {
					t.Fatalf("%+v at write %d: the checksums are wrong", r, got.Seq)
				}
			}
			sent := make(chan error, 1)
			go func() { sent <- w.send(150) }()
			for n := 0; ; n++ {
				check()
				select {
				case err := <-sent:
					if err != nil {
						t.Fatal(err)
					}
				default:
					continue
				}
				break
			}
			s.until("the seed", func() bool {
				b := must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0].Bounds
				return b.Horizon == cdp.Seq(len(w.m.Writes)) && b.Base == b.Horizon
			})
			check()
			w.seeding = false
			for range 10 {
				w.mustSend(3)
				check()
			}
			for _, r := range []api.SumsRequest{
				{Group: "g", N: 0, Block: 4096}, {Group: "g", N: api.SumsMax + 1, Block: 4096}, {Group: "g", N: 4096, Block: 256},
				{Group: "g", Disk: 2, N: 4096, Block: 4096}, {Group: "g", Disk: 1, Off: testDisks[1].Size - 512, N: 513, Block: 4096},
				{Group: "g", Off: -1, N: 4096, Block: 4096},
			} {
				refused[api.SumsReply](s, cdp.Invalid, api.JournalSums, r)
			}
			s.shut()
		})
	}
}
