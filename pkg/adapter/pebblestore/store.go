package pebblestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
)

// store is the database of one group. It is opened when it is first needed.
type store struct {
	d  *DB
	id cdp.GroupID

	lenient bool // it is opened although tables are missing: see repair
	reads   bool // nothing of it is changed: see Read
	asIs    bool // opening it mends nothing: see mend
	bulkNo  atomic.Uint64
	damage  damage
	durable durable
	errors  repeated

	mu         sync.Mutex // held while it is opened and closed
	info       groupInfo
	unreadable unreadable // where the next opening ends history
	rebuild    rebuild    // what the next opening makes anew

	using sync.Mutex
	db    *database // nil: closed
}

// groupInfo is what a store says of its group.
type groupInfo struct {
	ID    cdp.GroupID `json:"id"`
	Num   uint32      `json:"num"`
	Disks []cdp.Disk  `json:"disks"`
	// Layouts are the disks that it has and had, if they changed.
	Layouts history.Layouts `json:"layouts,omitempty"`
}

func sameDisks(a, b []cdp.Disk) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

const bulkPrefix = "bulk-"

func (s *store) path() string { return s.d.path(s.id) }

// memTable is the share of the memory that this group gets.
func (s *store) memTable() uint64 {
	if s.d.cfg.MemTableBytes != 0 {
		return s.d.cfg.MemTableBytes
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return min(4<<20, max(1<<20, 256<<20/uint64(len(s.d.groups)+1)))
}

func (s *store) options(on *disk) *pebble.Options {
	o := &pebble.Options{
		FS:                          on,
		FormatMajorVersion:          pebble.FormatNewest,
		Cache:                       s.d.cache,
		FileCache:                   s.d.files,
		MemTableSize:                s.memTable(),
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       1000,     // the index is the only thing that overlaps; it is small
		LBaseMaxBytes:               64 << 20, // a compaction writes about as much: see mostWork
		MaxManifestFileSize:         mostManifest,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             512 << 10,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      quiet{on},
		DisableConsistencyCheck:     s.lenient,
		ReadOnly:                    s.reads,
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { s.backgroundError(on, err) },
			DataCorruption:  s.damage.note,
			// Each of these is reported once the manifest has it, durably.
			FlushEnd:      func(i pebble.FlushInfo) { s.wroteManifest(i.Err) },
			CompactionEnd: func(i pebble.CompactionInfo) { s.wroteManifest(i.Err) },
			TableIngested: func(i pebble.TableIngestInfo) { s.wroteManifest(i.Err) },
		},
	}
	o.Experimental.CompactionScheduler = &compactions{}
	o.Experimental.SpanPolicyFunc = apart
	for i := range o.Levels {
		l := &o.Levels[i]
		l.BlockSize = pieceSize
		l.IndexBlockSize = 64 << 10
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		o.TargetFileSizes[i] = 8 << 20 // Pebble limits a compaction to 25 of them
	}
	return o
}

// backgroundError reports a failure that Pebble retries, which it does without a pause.
func (s *store) backgroundError(on *disk, err error) {
	if errors.Is(err, pebble.ErrCancelledCompaction) || s.errors.repeats() || on.ended() != nil {
		return
	}
	s.d.cfg.Trouble(&cdp.Error{Op: "journal store", Kind: kindOf(err), Subject: string(s.id), Cause: err})
}

func (s *store) wroteManifest(err error) {
	if err == nil {
		s.durable.wroteManifest(s.d.cfg.FS, s.path())
	}
}

// kindOf is what an error of Pebble means.
func kindOf(err error) cdp.Kind {
	switch {
	case pebble.IsCorruptionError(err):
		return cdp.Corrupt
	case isFull(err):
		return cdp.Full
	}
	return cdp.Transient
}

// open opens the database, unless it is open, and anew if it has ended. One with a damaged
// end is mended first. It changes nothing of one that is damaged otherwise, where Pebble
// would silently go on with an older state.
func (s *store) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if db := s.current(); db != nil && db.on.ended() == nil {
		return nil
	}
	err := s.openSound()
	if cdp.Is(err, cdp.Corrupt) && s.mend() {
		err = s.openSound()
	}
	return err
}

// openSound opens a database that is not damaged, or whose manifest alone is. The caller
// holds mu.
func (s *store) openSound() error {
	err := checkLogs(s.d.cfg.FS, s.path())
	if cdp.Is(err, cdp.Corrupt) && !s.reads {
		what, e := restoreManifest(s.d.cfg.FS, s.path())
		switch {
		case e != nil:
			s.d.cfg.Trouble(e)
		case what != "":
			s.damage.set(cdp.Errorf(cdp.Corrupt, "read journal store", string(s.id), "%s", what))
			err = checkLogs(s.d.cfg.FS, s.path())
		}
	}
	var db *database
	if err == nil {
		db, err = s.openAt(s.path(), true)
	}
	if err != nil {
		kind := kindOf(err)
		if kind == cdp.Transient && !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.EMFILE) {
			kind = cdp.Corrupt
		}
		return s.notOpened(kind, err)
	}
	old := s.replace(db)
	if err := s.load(); err != nil {
		s.durable.close()
		s.replace(old)
		db.on.end(err)
		db.retire()
		return s.notOpened(cdp.KindOf(err), err)
	}
	db.on.wait()
	old.retire()
	return nil
}

// notOpened is the error of a store that cannot be opened.
func (s *store) notOpened(kind cdp.Kind, err error) error {
	e := &cdp.Error{Op: "open journal store", Kind: kind, Subject: s.path(), Cause: err}
	if kind == cdp.Corrupt {
		e.Cause, e.Hint = fmt.Errorf("it is damaged: %w", err), s.wayOut()
	}
	return e
}

// wayOut is what to do about damage.
func (s *store) wayOut() string {
	return "other jobs go on. Stop the journal service and keep what still reads: tidemark repair " + string(s.id) + "; or " + startAnew
}

// startAnew is the way out of damage that always works.
const startAnew = "stop and delete the job, move its replica's files out of the way (or delete them), and apply it again: the disks are copied anew"

// load removes what a crash left, and reads what the store says of its group.
func (s *store) load() error {
	fs := s.d.cfg.FS
	// Tables that a crash kept from being linked in were never acknowledged.
	names, err := fs.List(s.path())
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n, bulkPrefix) {
			if err := fs.Remove(fs.PathJoin(s.path(), n)); err != nil {
				return err
			}
		}
	}
	what, err := restoreTwins(s.current())
	if err != nil {
		return err
	}
	if what != "" {
		s.damage.set(cdp.Errorf(cdp.Corrupt, "read journal store", string(s.id), "%s", what))
	}
	infos, err := readInfos(s.current().DB)
	if err != nil {
		return failed("read group", err)
	}
	i := slices.IndexFunc(infos, func(gi groupInfo) bool { return gi.ID == s.id })
	if i < 0 {
		return cdp.Errorf(cdp.Corrupt, "read group", string(s.id), "the store does not say that it holds this group")
	}
	s.info = infos[i]
	if s.rebuild.any() {
		if err := (&Group{s: s, num: s.info.Num}).rebuild(s.rebuild); err != nil {
			return err
		}
		s.damage.set(cdp.Errorf(cdp.Corrupt, "read journal store", string(s.id), "%s", s.rebuild))
		s.rebuild = rebuild{}
	}
	return s.compare()
}

// readInfos are the groups that a database says it holds.
func readInfos(db *pebble.DB) (out []groupInfo, err error) {
	registry := Group{}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: registry.key(nil, kindGroup), UpperBound: registry.key(nil, kindGroup+1)})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		var gi groupInfo
		if err := json.Unmarshal(it.Value(), &gi); err != nil {
			return nil, &cdp.Error{Op: "read group", Kind: cdp.Corrupt, Subject: string(it.Key()[5:]), Cause: err}
		}
		out = append(out, gi)
	}
	return out, it.Error()
}

func putInfo(db *pebble.DB, gi groupInfo) error {
	v, err := json.Marshal(gi)
	if err != nil {
		return err
	}
	b := db.NewBatch()
	defer b.Close()
	return errors.Join(b.Set(infoKey(gi.ID), v, nil), b.Set(twinKey(infoKey(gi.ID)), v, nil), b.Commit(pebble.Sync))
}

// says is what the open store says of its group.
func (s *store) says() groupInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// setInfo notes what the store says of its group now.
func (s *store) setInfo(gi groupInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.info = gi
}

func infoKey(id cdp.GroupID) []byte {
	registry := Group{}
	return append(registry.key(nil, kindGroup), id...)
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	db := s.current()
	if db == nil {
		return nil
	}
	db.on.hurry()
	s.replace(nil)
	s.durable.close()
	if db.on.ended() != nil {
		db.retire()
		return nil // the next opening finds what was acknowledged
	}
	err := db.Close()
	if err == nil {
		s.durable.wroteManifest(s.d.cfg.FS, s.path())
		noteClosed(s.d.cfg.FS, s.path())
	}
	return err
}

// quiet drops Pebble's log messages. What Pebble would end the process for, because a
// file failed it, ends this database; what it would end it for as a defect of the code
// still does.
type quiet struct{ on *disk }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (q quiet) Fatalf(format string, args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			q.on.end(err)
			return
		}
	}
	if q.on.ended() == nil {
		panic(cdp.Errorf(cdp.Internal, "journal store", q.on.dir, format, args...))
	}
}
