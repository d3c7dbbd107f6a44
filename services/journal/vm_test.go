package journal

import (
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/seedtest"
)

var (
	run1 = api.RunRequest{Group: "g", Run: "r1"}
	run2 = api.RunRequest{Group: "g", Run: "r2"}
)

func refused[T any](s *site, kind cdp.Kind, name string, req any) {
	s.t.Helper()
	if _, err := call[T](s, name, req); !cdp.Is(err, kind) {
		s.t.Fatalf("%s: want %s, got %v", name, kind, err)
	}
}

// held are the images that this process has open.
func (s *site) held() (out []string) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && strings.HasPrefix(to, s.dir) && strings.Contains(to, ".img") {
			out = append(out, to)
		}
	}
	return out
}

// take moves the images away, as a detached disk is, and puts them back.
func (s *site) take(away bool) {
	for _, p := range s.images() {
		from, to := p, p+"-elsewhere"
		if !away {
			from, to = to, from
		}
		if err := os.Rename(from, to); err != nil {
			s.t.Fatal(err)
		}
	}
}

// The replica's disks go to a VM and come back, with restarts in every state:
// the journal has no hold of them meanwhile, answers what it can, refuses what
// it cannot, and goes on as if nothing had been. The second time they stay away.
func TestTheReplicaGoesToAVMAndComesBack(t *testing.T) {
	for _, mode := range []cdp.JournalMode{cdp.Rollback, cdp.RollForward} {
		t.Run(string(mode), func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			restart := func() {
				s.shut()
				s.start(mode)
				s.until("the journal", func() bool { return s.head() > 0 })
			}
			s.start(mode)
			w := newTraffic(s, 11)
			w.mustSend(30)
			points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
			p := points[len(points)/2]
			look := api.OpenRequest{Group: "g", ID: "look", Seq: p.Seq, Purpose: "export"}
			away := func(r api.RunRequest) {
				t.Helper()
				refused[api.Empty](s, cdp.Conflict, api.JournalRelease, r)
				must[cdp.Bounds](s, api.JournalHalt, r)
				s.until("base", func() bool {
					return must[api.MoveReply](s, api.JournalMoveBase, api.MoveRequest{Group: "g", Run: r.Run, Seq: p.Seq}).Done
				})
				must[api.Empty](s, api.JournalRelease, r)
				if open := s.held(); len(open) > 0 {
					t.Fatalf("still open: %v", open)
				}
				same(t, w.at(p.Seq), s.images())
				s.take(true)
			}

			away(run1)
			for range 2 {
				must[api.Empty](s, api.JournalRelease, run1)
				must[cdp.Bounds](s, api.JournalHalt, run1)
				refused[api.Empty](s, cdp.Conflict, api.JournalRelease, run2)
				refused[cdp.Bounds](s, cdp.Conflict, api.JournalHalt, run2)
				refused[cdp.Bounds](s, cdp.Conflict, api.JournalResume, run2)
				refused[cdp.Bounds](s, cdp.Transient, api.JournalResume, run1)
				refused[api.Export](s, cdp.Conflict, api.JournalOpen, look)
				refused[api.SumsReply](s, cdp.Conflict, api.JournalSums, api.SumsRequest{Group: "g", N: 4096, Block: 4096})
				refused[api.MoveReply](s, cdp.Conflict, api.JournalFill, api.FillRequest{Group: "g", Run: "r1", Seq: p.Seq, Paths: []string{"a", "b"}})
				if !must[api.MoveReply](s, api.JournalMoveBase, api.MoveRequest{Group: "g", Run: "r1", Seq: p.Seq}).Done {
					t.Fatal("base has moved")
				}
				st := must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0]
				if st.State != event.JournalHalted || !strings.Contains(st.Reason, "r1") {
					t.Fatalf("%s: %s", st.State, st.Reason)
				}
				if got := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points; len(got) != len(points) {
					t.Fatalf("%d points of %d", len(got), len(points))
				}
				restart()
			}
			s.take(false)
			must[cdp.Bounds](s, api.JournalResume, run1)
			must[cdp.Bounds](s, api.JournalResume, run1)
			w.mustSend(10)
			for _, at := range []cdp.Seq{p.Seq, s.head()} {
				look.Seq = at
				s.checkExport(w.m, at, must[api.Export](s, api.JournalOpen, look))
				must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "look"})
			}

			away(run2)
			restart()
			must[api.SealReply](s, api.JournalSeal, run2)
			must[api.SealReply](s, api.JournalSeal, run2)
			restart()
			refused[cdp.Bounds](s, cdp.Conflict, api.JournalResume, run2)
			if st := must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0]; st.State != event.JournalSealed {
				t.Fatalf("%s: %s", st.State, st.Reason)
			}
			s.shut()
		})
	}
}

// A point is written onto other disks, while replication goes on and the
// journal is restarted: they hold the point, and nothing where it holds nothing.
func TestAPointIsWrittenOntoOtherDisks(t *testing.T) {
	for _, mode := range []cdp.JournalMode{cdp.Rollback, cdp.RollForward} {
		t.Run(string(mode), func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(mode)
			w := newTraffic(s, 12)
			w.mustSend(30)
			points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
			p := points[len(points)/3]
			req := api.FillRequest{Group: "g", Run: "t1", Seq: p.Seq, Paths: []string{filepath.Join(s.dir, "a.vmdk"), filepath.Join(s.dir, "b.vmdk")}}
			with := func(change func(*api.FillRequest)) api.FillRequest {
				r := req
				change(&r)
				return r
			}
			refused[api.MoveReply](s, cdp.Invalid, api.JournalFill, with(func(r *api.FillRequest) { r.Paths = req.Paths[:1] }))
			refused[api.MoveReply](s, cdp.Invalid, api.JournalFill, with(func(r *api.FillRequest) { r.Paths = []string{req.Paths[0], s.images()[1]} }))
			refused[api.MoveReply](s, cdp.NotFound, api.JournalFill, with(func(r *api.FillRequest) { r.Seq = 1 << 40 }))
			must[api.MoveReply](s, api.JournalFill, with(func(r *api.FillRequest) { r.Paths = nil })) // keep it
			s.shut()
			s.start(mode)
			s.until("the journal", func() bool { return s.head() > 0 })
			if must[api.MoveReply](s, api.JournalFill, with(func(r *api.FillRequest) { r.Paths = nil })).Done {
				t.Fatal("done without disks")
			}
			refused[api.MoveReply](s, cdp.Invalid, api.JournalFill, with(func(r *api.FillRequest) { r.Paths = s.images() }))
			refused[api.MoveReply](s, cdp.Transient, api.JournalFill, req) // they are not there yet
			for i, path := range req.Paths {
				f, err := os.Create(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Truncate(testDisks[i].Size + 4096); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			must[api.MoveReply](s, api.JournalFill, req)
			refused[api.MoveReply](s, cdp.Conflict, api.JournalFill, with(func(r *api.FillRequest) { r.Run = "t2" }))
			refused[api.MoveReply](s, cdp.Conflict, api.JournalFill, with(func(r *api.FillRequest) { r.Seq++ }))
			s.shut() // in the middle
			s.start(mode)
			s.until("the journal", func() bool { return s.head() > 0 })

			// What it needs stays meanwhile.
			v := s.svc.groups["g"].vault
			if err := v.Raise(t.Context(), v.Bounds().Head); err != nil {
				t.Fatal(err)
			}
			if err := v.Retain(t.Context(), points[len(points)-1].Seq); !cdp.Is(err, cdp.Conflict) {
				t.Fatal("the point may be lost while it is being written:", err)
			}
			must[api.MoveReply](s, api.JournalFill, req)
			w.mustSend(10)
			var last api.MoveReply
			s.until("the fill", func() bool {
				last = must[api.MoveReply](s, api.JournalFill, req)
				return last.Done
			})
			if last.Moved != last.Total || last.Total != testDisks[0].Size+testDisks[1].Size {
				t.Errorf("%+v", last)
			}
			same(t, w.at(p.Seq), req.Paths)
			for i, path := range req.Paths {
				st, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if n := st.Sys().(*syscall.Stat_t).Blocks * 512; n > testDisks[i].Size/2 {
					t.Errorf("%s: %d of %d bytes are allocated", path, n, testDisks[i].Size)
				}
			}
			s.shut()
			s.start(mode)
			s.until("the journal", func() bool { return s.head() > 0 })
			if !must[api.MoveReply](s, api.JournalFill, req).Done {
				t.Error("it is done again after a restart")
			}
			if err := s.svc.groups["g"].vault.Retain(t.Context(), points[len(points)-2].Seq); err != nil {
				t.Error("a fill that is done keeps its point:", err)
			}
			must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "other"})
			must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "t1"})
			must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "t1"})
			next := with(func(r *api.FillRequest) { r.Run, r.Seq = "t2", s.head() })
			must[api.MoveReply](s, api.JournalFill, next)
			must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "t2"}) // in the middle
			w.mustSend(5)
			look := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "look", Seq: s.head(), Purpose: "export"})
			s.checkExport(w.m, s.head(), look)
			s.shut()
			if len(s.alarms) > 0 {
				t.Errorf("alarms: %v", s.alarms)
			}
		})
	}
}

// Checksums are of what a disk holds at the seq they name: while a seed goes
// through to the replica, and afterwards, in both modes.
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

// Images that hold a seed already are taken as they are: what comes are only
// the differences, and the replica ends with both.
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
				s.until("base", func() bool {
					return must[api.MoveReply](s, api.JournalMoveBase, api.MoveRequest{Group: "g", Run: "r1", Seq: p.Seq}).Done
				})
				same(t, w.at(p.Seq), s.images())
				must[cdp.Bounds](s, api.JournalResume, run1)
			}
			s.shut()
		})
	}
}
