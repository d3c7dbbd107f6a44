package journal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/retention"
	"tidemark.dev/pkg/engine/durable"
)

// lock is the retention lock of a journal. It is kept here, and not with the job: what
// becomes of the job's description changes it in one way only, to a longer one.
type lock struct {
	path  string
	id    cdp.GroupID
	times *times

	mu  sync.Mutex
	rec lockRecord
	// unsaved: the record on the disk is older.
	unsaved bool

	trouble said // the last that was reported
}

// lockRecord is what survives a restart.
type lockRecord struct {
	// For and From are those of retention.Lock; For 0: there is no lock.
	For  time.Duration `json:"forNanos"`
	From time.Duration `json:"fromNanos"`
	// Ran is how long the journal had run when that was last noted, so that a journal
	// that gets no new points does not begin anew with each restart.
	Ran time.Duration `json:"ranNanos"`
	// Spec is the job, so that the journal can be opened without it.
	Spec GroupSpec `json:"spec"`
	// Deleted: the job is gone, and the journal goes once nothing is held any more.
	Deleted bool `json:"deleted,omitempty"`
}

// ranEvery is how often a locked journal notes how long it has run.
const ranEvery = 10 * time.Minute

const lockSuffix = ".lock"

func lockPath(cfg Config, id cdp.GroupID) string {
	return filepath.Join(cfg.Locks, string(id)+lockSuffix)
}

// readRecord is the record of a group; without one, no lock.
func readRecord(cfg Config, id cdp.GroupID) (lockRecord, error) {
	path := lockPath(cfg, id)
	rec, err := durable.ReadRecord[lockRecord](path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return rec, &cdp.Error{Op: "read retention lock", Kind: cdp.KindOf(err), Subject: path, Cause: err}
	}
	return rec, nil
}

// readLock is readRecord for a group that is being opened: a damaged record costs no
// recovery. The job says how long the lock is then.
func readLock(ctx context.Context, cfg Config, deps Deps, id cdp.GroupID) (lockRecord, error) {
	rec, err := readRecord(cfg, id)
	if !cdp.Is(err, cdp.Corrupt) {
		return rec, err
	}
	aside, failed := durable.SetAside(lockPath(cfg, id))
	if failed != nil {
		return rec, errors.Join(err, failed)
	}
	deps.Facts.Alarm(ctx, id, AlarmLock, "the record of the retention lock was damaged, and is "+aside+" now; from now on the lock is as long as the job says: "+err.Error())
	return rec, nil
}

func newLock(cfg Config, id cdp.GroupID, rec lockRecord, from *sourceClock) *lock {
	return &lock{path: lockPath(cfg, id), id: id, times: newTimes(from, rec.Ran), rec: rec}
}

// locked are the groups that have a record.
func locked(cfg Config) (ids []cdp.GroupID, err error) {
	entries, err := os.ReadDir(cfg.Locks)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &cdp.Error{Op: "list retention locks", Kind: cdp.Transient, Subject: cfg.Locks, Cause: err}
	}
	for _, e := range entries {
		if name := e.Name(); filepath.Ext(name) == lockSuffix {
			ids = append(ids, cdp.GroupID(name[:len(name)-len(lockSuffix)]))
		}
	}
	return ids, nil
}

// bound is spec with the disks that a locked journal has: a description that names
// others would have it work on somebody else's. The vcenter service moves those of VMs.
func (r lockRecord) bound(s GroupSpec) GroupSpec {
	if r.For > 0 && !s.ofVM() {
		s.Source, s.Names, s.Paths, s.Adopt = r.Spec.Source, r.Spec.Names, r.Spec.Paths, r.Spec.Adopt
	}
	return s
}

func (s GroupSpec) ofVM() bool { return s.Job != nil && s.Job.Of != "" }

// sameDisks reports whether two descriptions are of the same disks.
func (s GroupSpec) sameDisks(o GroupSpec) bool {
	return s.Source == o.Source && slices.Equal(s.Names, o.Names) && slices.Equal(s.Paths, o.Paths)
}

// apply takes over what the job says, and saves that. weaker says that the job asks
// for less than is locked.
func (l *lock) apply(s GroupSpec, ps []cdp.Point) (weaker bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Lock == 0 && l.rec.For == 0 {
		return false, nil
	}
	if before := l.rec; before.For == s.Lock && !before.Deleted && reflect.DeepEqual(before.Spec, s) {
		return false, l.save()
	}
	was := l.rec
	if s.Lock > was.For {
		l.rec.For = s.Lock
		if was.For == 0 {
			l.rec.From = l.ran(ps)
		}
	}
	if weaker = s.Lock < was.For || was.For > 0 && !was.bound(s).sameDisks(s); !weaker {
		l.rec.Spec = s
	}
	l.rec.Deleted = false
	l.rec.Ran, l.unsaved = l.ran(ps), true
	return weaker, l.save()
}

// keep is whether the journal of a deleted job stays, and for how long. It is noted
// durably before.
func (l *lock) keep(ps []cdp.Point) (left time.Duration, err error) {
	_, left, held := l.at(ps).Held(ps)
	if !held {
		return 0, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rec.Deleted, l.unsaved = true, true
	return left, l.save()
}

// tend saves what could not be saved, and now and then, or at the end, how long the
// journal has run.
func (l *lock) tend(end bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rec.For == 0 {
		return nil
	}
	if ran := l.ran(nil); ran-l.rec.Ran >= ranEvery || end {
		l.rec.Ran, l.unsaved = ran, true
	}
	return l.save()
}

// save writes the record. The caller holds mu.
func (l *lock) save() error {
	if !l.unsaved {
		return nil
	}
	err := os.MkdirAll(filepath.Dir(l.path), 0o700)
	if err == nil {
		err = durable.WriteRecord(l.path, l.rec)
	}
	if err != nil {
		return &cdp.Error{Op: "save retention lock", Kind: cdp.Transient, Subject: string(l.id), Cause: err}
	}
	l.unsaved = false
	return nil
}

// at is the lock now; ps are the journal's points.
func (l *lock) at(ps []cdp.Point) retention.Lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	return retention.Lock{For: l.rec.For, From: l.rec.From, Ran: l.ran(ps)}
}

func (l *lock) ran(ps []cdp.Point) time.Duration {
	if len(ps) == 0 {
		return l.times.ran(0)
	}
	return l.times.ran(ps[len(ps)-1].Ran)
}

// held is vault.Config.Held.
func (l *lock) held(ps []cdp.Point) (from cdp.Seq, why error) {
	from, left, held := l.at(ps).Held(ps)
	if !held {
		return 0, nil
	}
	return from, l.refusal("the retention lock holds history from write %d on for another %s", from, spec.Duration(left.Round(time.Second)))
}

// frees refuses to delete or unpin a point that is held.
func (l *lock) frees(p cdp.Point, ps []cdp.Point) error {
	left := l.at(ps).Left(p)
	if left == 0 {
		return nil
	}
	return l.refusal("the retention lock holds the point %s for another %s", p.ID(), spec.Duration(left.Round(time.Second)))
}

func (l *lock) refusal(format string, args ...any) error {
	return cdp.Errorf(cdp.Conflict, "check retention lock", string(l.id), format, args...).
		WithHint("wait: a lock is never made shorter, and the time that the journal does not run does not count")
}

// deleted reports whether the job is gone.
func (l *lock) deleted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec.Deleted
}

// status is what people see of the lock; nil: there is none.
func (l *lock) status(points func() []cdp.Point) *api.RetentionLock {
	l.mu.Lock()
	none := l.rec.For == 0
	l.mu.Unlock()
	if none { // most have none, and points are many
		return nil
	}
	ps := points()
	now := l.at(ps)
	_, left, _ := now.Held(ps)
	st := &api.RetentionLock{For: now.For, Left: left}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rec.Deleted {
		st.Deleted = l.rec.Spec.Job
	}
	return st
}
