package journal

import (
	"fmt"
	"os"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// Disks are extended and added at the source of a running job. The journal waits until
// the job says so too, loses nothing meanwhile, and serves every point with the disks
// that it had.
func TestDisksThatGrowAreFollowed(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer func() { s.shut() }()
	w := newTraffic(s, 91)
	w.mustSend(6)
	before := s.status().Newest

	grown := []cdp.Disk{testDisks[0], {ID: 1, Name: "data", Size: 2*cdp.RegionSize + 1024}, {ID: 2, Name: "logs", Size: cdp.RegionSize}}
	then := s.head()
	if err := s.growUnapplied(w, grown); err != nil {
		t.Fatal(err)
	}
	s.until("an alarm that names the job", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.alarms) > 0
	})
	if s.head() != then {
		t.Fatal("a frame was stored that writes outside the job's disks")
	}
	s.svc.Apply(s.spec(cdp.Rollback))
	s.until("all writes", func() bool { return s.head() == cdp.Seq(len(w.m.Writes)) })
	w.mustSend(8)
	after := s.status().Newest

	check := func(when string) {
		t.Helper()
		for n, p := range []*cdp.Point{before, after} {
			e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: fmt.Sprint("p", n), Seq: p.Seq, Purpose: api.ForExport})
			want := [][]cdp.Disk{testDisks, grown}[n]
			if len(e.Disks) != len(want) {
				t.Fatalf("%s: point %d has %d disks, want %d", when, n, len(e.Disks), len(want))
			}
			for i, d := range e.Disks {
				if d.Size != want[i].Size {
					t.Errorf("%s: point %d: disk %s has %d bytes, want %d", when, n, d.Name, d.Size, want[i].Size)
				}
			}
			s.checkExport(&vaulttest.Model{Disks: want, Writes: w.m.Writes}, p.Seq, e)
			must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: e.ID})
		}
	}
	check("while it runs")
	s.restart(cdp.Rollback)
	check("after a restart")
	must[cdp.Bounds](s, api.JournalHalt, api.RunRequest{Group: "g", Run: "r1"})
	s.untilBase("r1", before.Seq)
	check("with the replica at the older point")
	for i, path := range s.spec("").Paths {
		if st, err := os.Stat(path); err != nil || st.Size() < grown[i].Size {
			t.Errorf("the image %s: %v %v", path, st, err)
		}
	}
}

// growUnapplied has the source write outside the disks that the job still names.
func (s *site) growUnapplied(w *traffic, grown []cdp.Disk) error {
	w.m.Disks = grown
	s.svc.Apply(s.spec(cdp.Rollback))
	s.mu.Lock()
	s.disks = grown
	s.mu.Unlock()
	return w.publish(frame.Consistent|frame.Marker,
		vaulttest.ModelWrite{Disk: 1, Off: grown[1].Size - 4096, Len: 4096}, vaulttest.ModelWrite{Disk: 2, Len: 8192})
}
