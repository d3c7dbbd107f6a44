package journal

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A job that has received nothing has nothing to recover. A request says so at
// once, and not to try again.
func TestNothingCanBeRecoveredYet(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	recovers := func(name string, r any) {
		t.Helper()
		if _, err := call[api.Resolved](s, name, r); !cdp.Is(err, cdp.NotFound) || !strings.Contains(err.Error(), "no recovery point yet") || cdp.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.silent = true
	s.start(cdp.Rollback)
	recovers(api.JournalStatus, api.GroupRequest{Group: "g"})
	recovers(api.JournalResolve, api.ResolveRequest{Group: "g", Point: "latest"})
	s.shut()
	s.silent = false
	s.start(cdp.Rollback)
	s.until("the journal", func() bool {
		_, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"})
		return err == nil
	})
	recovers(api.JournalResolve, api.ResolveRequest{Group: "g", Point: "latest"})
	s.shut()
}
