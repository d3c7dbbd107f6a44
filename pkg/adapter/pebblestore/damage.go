package pebblestore

import (
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
)

// damage is what Pebble found damaged in a store since it was opened. Its methods
// may be called from any goroutine.
type damage struct {
	mu    sync.Mutex
	found error // the first
}

// note is Pebble's report of a damaged file.
func (d *damage) note(info pebble.DataCorruptionInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found == nil {
		d.found = cdp.Errorf(cdp.Corrupt, "read journal store", info.Path, "%s is damaged: %s", filepath.Base(info.Path), firstLine(info.Details))
	}
}

// set says what is damaged, nil for nothing: what was damaged is mended.
func (d *damage) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found = err
}

func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text[:min(len(text), 200)]
}

// repeated counts errors in the background.
type repeated struct {
	mu    sync.Mutex
	since time.Time
	times int // in the second after since
}

// repeats reports whether an error is one of many, and slows the goroutine that makes
// them: Pebble tries again without a pause to write a table, and to read a table's
// statistics. A compaction, which may hold locks, fails once in minutes.
func (r *repeated) repeats() bool {
	const most = 3
	r.mu.Lock()
	now := time.Now()
	if now.Sub(r.since) > time.Second {
		r.since, r.times = now, 0
	}
	r.times++
	many := r.times > most
	r.mu.Unlock()
	if many {
		time.Sleep(200 * time.Millisecond)
	}
	return many
}

// Damage is what was found damaged in a group's store since it was opened, nil for
// nothing.
func (d *DB) Damage(id cdp.GroupID) error {
	s := d.store(id)
	if s == nil {
		return nil
	}
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	return s.damage.found
}
