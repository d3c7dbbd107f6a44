package guest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/e2e/oracle"
)

// recording is one run of the guest with every write logged, and two moments
// of it, both taken while the guest stood still: so at either moment the two
// prefixes are of one state of the pair of disks.
type recording struct {
	im         *Images
	root, data *oracle.Log
	mid, end   moment
}

type moment struct {
	root, data int   // entries logged
	ack        int64 // last acknowledged row
}

func record(ctx context.Context, t *testing.T) *recording {
	t.Helper()
	im, root, data := disks(ctx, t)
	rootLog, dataLog := root+".log", data+".log"
	vm := boot(ctx, t, Config{Images: im, Drives: []Drive{{Raw: root, Log: rootLog}, {Raw: data, Log: dataLog}}})
	r := &recording{im: im}
	stand := func(acks int) moment {
		if err := vm.WaitAcks(ctx, acks); err != nil {
			t.Fatal(err)
		}
		if err := vm.Freeze(ctx); err != nil {
			t.Fatal(err)
		}
		// What the guest printed before it stood still may still be on its way here.
		time.Sleep(100 * time.Millisecond)
		r.root, r.data = openLog(t, rootLog), openLog(t, dataLog)
		return moment{root: len(r.root.Entries), data: len(r.data.Entries), ack: vm.LastAck()}
	}
	r.mid = stand(60)
	if err := vm.Thaw(ctx); err != nil {
		t.Fatal(err)
	}
	r.end = stand(160)
	vm.Kill9()
	if got := vm.LastAck(); got != r.end.ack {
		t.Fatalf("row %d was acknowledged by a guest that stood still", got)
	}
	t.Logf("middle %+v, end %+v", r.mid, r.end)

	// The logs are whole: they give exactly the disks the guest left.
	for _, d := range []struct {
		log        *oracle.Log
		base, disk string
	}{{r.root, im.Root, root}, {r.data, im.Data, data}} {
		began := time.Now()
		n, ok, err := d.log.MatchPrefix(d.base, d.disk)
		if err != nil || !ok || n != len(d.log.Entries) {
			t.Fatalf("disk left by the guest: prefix %d of %d, %t, %v", n, len(d.log.Entries), ok, err)
		}
		t.Logf("matched %d entries of %s in %.1fs", n, filepath.Base(d.disk), time.Since(began).Seconds())
		os.Remove(d.disk)
	}
	return r
}

func openLog(t *testing.T, path string) *oracle.Log {
	t.Helper()
	l, err := oracle.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// replay returns disks at the given prefixes; drop is for the data disk's.
func (r *recording) replay(ctx context.Context, t *testing.T, rootN, dataN int, drop func(int, oracle.Entry) bool) (root, data string) {
	t.Helper()
	root, data, err := r.im.Clone(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.root.ReplayPrefix(root, rootN); err != nil {
		t.Fatal(err)
	}
	if err := r.data.Replay(data, 0, dataN, drop); err != nil {
		t.Fatal(err)
	}
	return root, data
}

// logPage returns a write of the database's log from midway between the two
// moments. Any other write may be one that recovery does not need.
func (r *recording) logPage(t *testing.T) oracle.Entry {
	t.Helper()
	var pages []oracle.Entry
	for _, e := range r.data.Entries[r.mid.data:r.end.data] {
		b, err := r.data.Data(e)
		if err != nil {
			t.Fatal(err)
		}
		// A page begins with xlp_magic, little-endian 0xD1nn (PostgreSQL's xlog_internal.h).
		if len(b) >= 8192 && b[1] == 0xd1 {
			pages = append(pages, e)
		}
	}
	if len(pages) == 0 {
		t.Fatal("no page of the database's log among the writes")
	}
	return pages[len(pages)/2]
}

// The instruments themselves: a true past state passes; a lost write, and two
// disks of different moments, do not. Were they to pass, no test that relies on
// CheckLedger or the oracle would mean anything.
func TestChecksTellTruePastFromFalse(t *testing.T) {
	Require(t)
	ctx := deadline(t, 15*time.Minute)
	r := record(ctx, t)

	for _, m := range []moment{r.mid, r.end} {
		root, data := r.replay(ctx, t, m.root, m.data, nil)
		l := check(ctx, t, root, data)
		if err := l.Verify(m.ack); err != nil {
			t.Fatalf("true state at %+v: %v", m, err)
		}
		if l.Max > m.ack+WitnessBatch {
			t.Fatalf("state at %+v has row %d: it is not of that moment", m, l.Max)
		}
	}

	t.Run("root disk older than the log's disk", func(t *testing.T) {
		root, data := r.replay(ctx, t, r.mid.root, r.end.data, nil)
		caught(t, check(ctx, t, root, data), r.mid.ack)
	})
	t.Run("log's disk older than the root disk", func(t *testing.T) {
		root, data := r.replay(ctx, t, r.end.root, r.mid.data, nil)
		caught(t, check(ctx, t, root, data), r.mid.ack)
	})
	t.Run("acknowledged writes lost", func(t *testing.T) {
		place := r.logPage(t)
		lost := 0
		root, data := r.replay(ctx, t, r.end.root, r.end.data, func(i int, e oracle.Entry) bool {
			drop := i >= r.mid.data && e.IsWrite() && e.Offset < place.Offset+place.Length && place.Offset < e.Offset+e.Length
			if drop {
				lost++
			}
			return drop
		})
		caught(t, check(ctx, t, root, data), r.end.ack)
		m, err := r.data.Compare(r.im.Data, data)
		if err != nil {
			t.Fatal(err)
		}
		if m.Found {
			t.Fatalf("the oracle takes a disk without %d of its writes for prefix %d", lost, m.Longest)
		}
		t.Logf("oracle: no prefix; nearest is %d with %d sectors different", m.Nearest, m.Differing)
	})
}

func caught(t *testing.T, l Ledger, lastAck int64) {
	t.Helper()
	err := l.Verify(lastAck)
	if err == nil {
		t.Fatalf("a false state passed the check: %+v", l)
	}
	t.Logf("caught: %v", err)
}
