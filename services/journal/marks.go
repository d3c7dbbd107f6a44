package journal

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
	"tidemark.dev/pkg/engine/vault"
)

// marks keeps what was found damaged of a journal over restarts, so that the points that
// it costs stay marked until the next scrub, too.
type marks struct {
	path  string
	vault *vault.Group
	saved vault.Bad // what the record holds
}

func marksPath(cfg Config, id cdp.GroupID) string {
	return filepath.Join(filepath.Dir(cfg.Dir), "damage", string(id)+".json")
}

// newMarks has what was found before the restart. Without a record that can be read there
// is none: the next scrub finds it.
func newMarks(cfg Config, id cdp.GroupID, v *vault.Group) *marks {
	m := &marks{path: marksPath(cfg, id), vault: v}
	m.saved, _ = durable.ReadRecord[vault.Bad](m.path)
	return m
}

// keep finds again what the journal does not know any more, since it was opened anew, and
// records what it knows. What fails is tried again by the next call.
func (m *marks) keep(ctx context.Context) {
	now := m.vault.Bad()
	if !holds(now, m.saved) {
		if m.vault.FindAgain(ctx, m.saved) != nil {
			return
		}
		now = m.vault.Bad()
	}
	if reflect.DeepEqual(now, m.saved) {
		return
	}
	if len(now.Frames)+len(now.Floors) == 0 {
		if durable.RemoveRecord(m.path) == nil {
			m.saved = now
		}
		return
	}
	if os.MkdirAll(filepath.Dir(m.path), 0o700) == nil && durable.WriteRecord(m.path, now) == nil {
		m.saved = now
	}
}

// holds reports whether all of part is in x.
func holds(x, part vault.Bad) bool {
	missing := func(no cdp.FrameNo) bool { return !slices.Contains(x.Frames, no) }
	gone := func(f vault.BadFloor) bool { return !slices.Contains(x.Floors, f) }
	return !slices.ContainsFunc(part.Frames, missing) && !slices.ContainsFunc(part.Floors, gone)
}
