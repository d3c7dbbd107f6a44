package journal

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// An adopted image has a block that nobody ever writes. The first scrub gives it a
// checksum. A byte of it changes while the service is down: the next scrub finds it, and
// what is not damaged reads back.
func TestADamagedBlockOfAnAdoptedImageIsFound(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), adopt: true, scrub: 50 * time.Millisecond}
	w := newTraffic(s, 17)
	const at = 2*cdp.RegionSize - 10*cdp.BlockSize // where no traffic writes
	for i, path := range s.images() {
		b := make([]byte, testDisks[i].Size)
		if i == 0 {
			copy(b[at:], bytes.Repeat([]byte{7}, cdp.BlockSize))
		}
		w.base = append(w.base, b)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.start(cdp.Rollback)
	s.until("the journal", func() bool {
		_, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"})
		return err == nil
	})
	for n := range int64(6) {
		flags := frame.Consistent | frame.Marker
		if n == 0 {
			flags |= frame.ExtentStart
		}
		if err := w.publish(flags, vaulttest.ModelWrite{Off: n * cdp.BlockSize, Len: cdp.BlockSize}); err != nil {
			t.Fatal(err)
		}
	}
	s.until("all writes", func() bool { return s.head() == cdp.Seq(len(w.m.Writes)) })
	g, err := s.svc.group("g")
	if err != nil {
		t.Fatal(err)
	}
	s.until("checksums of all blocks", func() bool { return g.vault.State().Summed })
	if d := s.status().Damage; d != "" {
		t.Fatalf("damage of a whole image: %s", d)
	}
	s.shut()
	f, err := os.OpenFile(s.images()[0], os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte{6}, at+100)
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	s.start(cdp.Rollback)
	defer s.shut()
	s.until("the damage", func() bool { return strings.Contains(s.status().Damage, "root") })
	s.alarmed("not as written")
	s.readsAt(w, s.newest())
}
