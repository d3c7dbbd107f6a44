package journal

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A byte of an image changes while the service is down, in a block that nobody
// reads. A scrub finds it: status names the disk, and there is an alarm.
func TestADamagedImageIsFoundAndNamed(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), scrub: 50 * time.Millisecond}
	s.start(cdp.Rollback)
	status := func() api.GroupStatus {
		return must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0]
	}
	w := newTraffic(s, 11)
	w.mustSend(20)
	s.until("base", func() bool { b := status().Bounds; return b.Base == b.Head })
	s.until("a scrub", func() bool { return !status().Scrubbed.IsZero() })
	if d := status().Damage; d != "" {
		t.Fatalf("damage of a whole image: %s", d)
	}
	s.shut()
	image, err := os.ReadFile(s.images()[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(100); at < int64(len(image)); at += cdp.RegionSize {
		for b := range int64(5) { // where writes are likely
			image[at+b*cdp.BlockSize] ^= 1
		}
	}
	if err := os.WriteFile(s.images()[0], image, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(cdp.Rollback)
	s.until("the journal", func() bool { return s.head() > 0 })
	s.until("the damage", func() bool { return strings.Contains(status().Damage, "root") })
	s.until("the alarm", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.alarms, func(a string) bool { return strings.Contains(a, "not as written") })
	})
	s.shut()
}
