package pebblestore

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// mend mends a damaged store as Repair does, if nothing is damaged but its log, its end (the
// newest frame, frames that the index lacks), and tables that can be spared. It reads
// only what opening needs. It reports whether it put a mended copy in the store's place;
// otherwise nothing has changed. The caller holds mu.
func (s *store) mend() bool {
	if s.asIs || s.d.cfg.FS != vfs.Default {
		return false
	}
	r := &repair{dir: s.d.dir, id: s.id, began: time.Now(), online: true}
	err := r.mendCopy()
	if err == nil && r.mends {
		err = r.exchange()
	}
	mended := err == nil && r.mends
	if mended {
		s.damage.set(nil)
		if len(r.Losses) == 0 { // a loss is reported by itself
			s.damage.set(cdp.Errorf(cdp.Corrupt, "read journal store", string(s.id), "%s", strings.Join(r.Found, "; ")))
		}
	}
	if e := os.RemoveAll(r.work()); err == nil && e != nil {
		err = &cdp.Error{Op: opRepair, Kind: cdp.Transient, Subject: string(s.id), Cause: e}
	}
	if err != nil && !cdp.Is(err, cdp.Corrupt) { // else the opening's own error says what is wrong
		s.d.cfg.Trouble(err)
	}
	return mended
}

// damagedEnd is the first frame that keeps a store from being opened: it is damaged or
// missing, and the index lacks it, or it is the newest, or the replica is past the newest.
// back: the replica may go back.
func (g *Group) damagedEnd(back bool) (bad unreadable, err error) {
	st, indexed, err := g.state()
	if err != nil {
		return bad, err
	}
	fs := g.s.d.cfg.FS
	was, _, _ := readDurable(fs, fs.PathJoin(g.s.path(), durableName))
	newest, oldest := max(was.frame, indexed), cdp.FrameNo(0)
	l, err := g.read(0)
	switch {
	case err == nil && l.Newest == nil:
		return bad, nil
	case err == nil:
		newest, oldest = l.Newest.No, l.Oldest
		if max(st.Base, st.Moving) > l.Newest.Last() {
			newest++
		}
	case !cdp.Is(err, cdp.Corrupt):
		return bad, err
	default:
		oldest = l.Oldest // 0 if that cannot be read, either
		// What is noted of the newest frame may be older than the frame itself.
		if newest, err = g.newestFrom(newest); err != nil {
			return bad, err
		}
	}
	no, why := vault.FirstUnindexed(g, indexed, oldest, newest)
	if no == 0 && why == nil && newest != 0 {
		why = g.Frames(newest, newest, func(frame.Table, []byte) error { return nil })
		if cdp.Is(why, cdp.Corrupt) {
			no = newest
		}
	}
	if no == 0 {
		return bad, why
	}
	return g.around(unreadable{frame: no, why: firstLine(why), back: back && canGoBack(st)}, newest)
}

// canGoBack reports whether the replica can go back to an older write. Without checksums
// nobody would notice that a floor was lost as well.
func canGoBack(st vault.State) bool {
	return st.Summed && !st.Halted && !st.Sealed && !st.Released && !st.Straight
}

// isDamage reports whether a file that cannot be opened is damaged or missing. One that
// the machine failed to read, or may not read, may be whole.
func isDamage(err error) bool {
	var no syscall.Errno
	return !errors.As(err, &no) || no == syscall.ENOENT
}
