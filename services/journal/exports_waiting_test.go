package journal

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// The address of an export is taken when the journal starts again. The journal takes
// writes all the same, the export is named in the status with a way out, what was
// written to it is kept, and it is served once its address is free.
func TestAnExportThatCannotBeServedKeepsNoJournalClosed(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	w := newTraffic(s, 91)
	w.mustSend(10)
	at := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points[5].Seq
	sock := filepath.Join(s.dir, "x.sock")
	open := api.OpenRequest{Group: "g", ID: "x1", Seq: at, Scratch: true, Listen: sock, Purpose: api.ForExport}
	scribble(t, must[api.Export](s, api.JournalOpen, open))
	s.shut()

	other, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	s.start(cdp.Rollback)
	w.mustSend(10)
	if got := s.status().Unserved; got == nil || !strings.Contains(got.Text, sock) || !strings.Contains(got.Hint, "export close g") {
		t.Errorf("the status says %+v", got)
	}
	if got := must[api.ExportsReply](s, api.JournalExports, api.GroupRequest{Group: "g"}).Exports; len(got) != 1 || got[0].Trouble == "" {
		t.Errorf("the exports are %+v", got)
	}
	if _, err := call[api.MoveReply](s, api.JournalAbsorb, api.CloseRequest{Group: "g", ID: "x1"}); err == nil {
		t.Error("what cannot be served was taken for absorbed")
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	s.until("the export", func() bool { return s.status().Unserved == nil })
	e := must[api.Export](s, api.JournalOpen, open)
	checkScribble(t, e)
	s.shut()

	other, err = net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s.start(cdp.Rollback)
	defer s.shut()
	s.until("the journal", func() bool { return s.status().Unserved != nil })
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "x1"})
	if _, err := os.Stat(filepath.Join(s.dir, "x", "g", "x1")); !os.IsNotExist(err) || s.status().Unserved != nil {
		t.Errorf("the export was closed and is there: %v, %+v", err, s.status().Unserved)
	}
}
