package capture

import (
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
)

// unready cannot serve at one address.
type unready struct {
	nbdServers
	at string
}

func (u unready) Ready(at Listen) error {
	if at.Address == u.at {
		return cdp.Errorf(cdp.Invalid, "load TLS files", "", "the certificate cannot be read")
	}
	return nil
}

// A job changes, and its disks could not be served as it says now: they are served
// as before, for guests use them.
func TestDisksAreServedUntilAChangedJobCanBe(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	old, changed := w.job, w.job
	old.Listen = []Listen{{Network: "unix", Address: filepath.Join(w.dir, "old.sock")}}
	changed.Listen = []Listen{{Network: "unix", Address: filepath.Join(w.dir, "changed.sock")}}
	w.deps.Servers = unready{at: changed.Listen[0].Address}
	s, err := NewGroups(w.cfg, w.deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), changed); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
	if _, err := s.Group("shop"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(old.Listen[0].Address); err != nil {
		t.Error(err)
	}
	if err := s.Remove(t.Context(), "shop"); err != nil {
		t.Error(err)
	}
	close(w.stop)
}
