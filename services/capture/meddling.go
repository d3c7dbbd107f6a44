package capture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/durable"
)

// meddling notices what others do to the disks of an inline group, whose writes all
// come through us: a disk that is another file than before, or was written, while the
// group was closed, and one that somebody writes beside us. Nobody can say which part
// of it changed, so that everything is sent again, and no point is made until then.
//
// What cannot be noticed: a write while the process was not closed properly, or while
// guests write too; anything on a block device. See Witness.
type meddling struct {
	*setup
	order    *order
	replaced []bool // by disk: that was reported
}

// diskStamps are what is kept of the disks of a closed group.
type diskStamps struct {
	// Closed: the disks were not written after their stamps were taken.
	Closed bool        `json:"closed"`
	Disks  []diskStamp `json:"disks"`
}

type diskStamp struct {
	File    string    `json:"file,omitempty"`
	Written time.Time `json:"written,omitzero"`
}

func stampsPath(cfg Config, id cdp.GroupID) string {
	return filepath.Join(cfg.StateDir, string(id)+".disks")
}

func (m *meddling) stamps(closed bool) diskStamps {
	s := diskStamps{Closed: closed}
	for _, d := range m.disks {
		var x diskStamp
		if w, ok := d.dev.(Witness); ok {
			x.File, x.Written = w.Stamp()
		}
		s.Disks = append(s.Disks, x)
	}
	return s
}

// save keeps the stamps for the next time the group is opened.
func (m *meddling) save(closed bool) error {
	data, err := json.Marshal(m.stamps(closed))
	if err == nil {
		err = durable.WriteFile(stampsPath(m.cfg, m.job.Group), data)
	}
	if err != nil {
		return &cdp.Error{Op: "keep what the disks are", Kind: cdp.Transient, Subject: string(m.job.Group), Cause: err}
	}
	return nil
}

// open compares the disks with what they were when the group was closed, if that is
// known, and makes everything dirty if it does not fit.
func (m *meddling) open() error {
	path := stampsPath(m.cfg, m.job.Group)
	data, err := os.ReadFile(path)
	var was diskStamps
	switch {
	case errors.Is(err, fs.ErrNotExist): // a first start
	case err != nil:
		return &cdp.Error{Op: "read what the disks were", Kind: cdp.Transient, Subject: path, Cause: err}
	case json.Unmarshal(data, &was) != nil || len(was.Disks) > len(m.disks):
		m.found(path + ", which says what the disks were, cannot be read: they may have changed")
	default:
		m.compare(was, m.stamps(false))
	}
	// The dirty map must be durable before the new stamps, which no longer show a change.
	if err := m.order.book.Sync(); err != nil {
		return err
	}
	return m.save(false)
}

func (m *meddling) compare(was, now diskStamps) {
	var in []string
	for i, d := range m.job.Disks[:len(was.Disks)] { // those that were added are dirty anyway
		a, b := was.Disks[i], now.Disks[i]
		switch {
		case a.File == "" || b.File == "":
		case a.File != b.File:
			in = append(in, d.Path+" is another file than before")
		case was.Closed && !a.Written.Equal(b.Written):
			in = append(in, fmt.Sprintf("%s was written at %s, while it was not captured", d.Path, b.Written.UTC().Format(time.RFC3339)))
		}
	}
	if len(in) > 0 {
		m.found(strings.Join(in, "; "))
	}
}

// found makes everything dirty, and says why. It locks.
func (m *meddling) found(what string) {
	o := m.order
	o.mu.Lock()
	defer o.mu.Unlock()
	o.book.SetAll()
	o.copy.void = true
	o.meddled = cdp.Errorf(cdp.Conflict, "capture", string(m.job.Group), "%s: the disks are copied again", what)
	o.notes.add(alarm{AlarmMeddled, what + ": recovery points until now do not hold that; the disks are copied again"})
	o.update(what)
	o.room.Ring()
}

// run looks at the disks until ctx ends.
func (m *meddling) run(ctx context.Context) {
	m.replaced = make([]bool, len(m.disks))
	for clock.Sleep(ctx, m.deps.Clock, m.cfg.LookEvery) == nil {
		for i, d := range m.disks {
			w, ok := d.dev.(Witness)
			if !ok {
				continue
			}
			path := m.job.Disks[i].Path
			if w.WrittenByOthers() {
				m.found("somebody else writes " + path + ", beside its export")
			}
			replaced := w.Replaced()
			if replaced && !m.replaced[i] {
				m.order.notes.add(alarm{AlarmMeddled, path + " was replaced or removed while it is served: what is served, and protected, is the file that was there before, which is lost when the service stops"})
			}
			m.replaced[i] = replaced
		}
	}
}
