package journal

import (
	"os"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool/spooltest"
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

// The replica's disks go to a VM and come back, with restarts in every state: the
// journal does not have them open meanwhile, answers what it can, refuses what it
// cannot, and continues as before. The second time they stay away.
func TestTheReplicaGoesToAVMAndComesBack(t *testing.T) {
	for _, mode := range []cdp.JournalMode{cdp.Rollback, cdp.RollForward} {
		t.Run(string(mode), func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
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
				s.untilBase(r.Run, p.Seq)
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
				s.restart(mode)
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
			s.restart(mode)
			must[api.SealReply](s, api.JournalSeal, run2)
			must[api.SealReply](s, api.JournalSeal, run2)
			s.restart(mode)
			refused[cdp.Bounds](s, cdp.Conflict, api.JournalResume, run2)
			if st := must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0]; st.State != event.JournalSealed {
				t.Fatalf("%s: %s", st.State, st.Reason)
			}
			s.shut()
		})
	}
}
