package journal

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// The replica's file system is full: it is reported with its cause, every point
// can still be read, and base follows again once there is room.
func TestAFullReplicaIsReportedAndFollowsOnceThereIsRoom(t *testing.T) {
	at := smallDisk(t, "512k")
	s := &site{t: t, dir: t.TempDir(), replicas: at, mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer s.shut()
	w := newTraffic(s, 9)
	if err := w.send(150); err != nil {
		t.Fatal(err)
	}
	status := func() api.GroupStatus {
		r, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"})
		if err != nil || len(r.Groups) == 0 {
			return api.GroupStatus{}
		}
		return r.Groups[0]
	}
	s.until("the trouble", func() bool { return status().Stuck != nil })
	if x := status().Stuck; !strings.Contains(x.Text, "no space left") || !strings.Contains(x.Text, at) || x.Hint == "" {
		t.Errorf("status says %+v, want the path, the cause and a hint", x)
	}
	s.until("an alarm", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(strings.Join(s.alarms, " "), "no space left")
	})
	s.until("every write", func() bool { return s.head() == cdp.Seq(len(w.m.Writes)) })
	p := *status().Newest
	e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "x", Seq: p.Seq})
	s.checkExport(w.m, p.Seq, e)
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "x"})

	if err := unix.Mount("", at, "", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	s.until("base at head", func() bool {
		st := status()
		return st.Stuck == nil && st.Bounds.Base == st.Bounds.Head
	})
}
