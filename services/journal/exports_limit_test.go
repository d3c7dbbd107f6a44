package journal

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// What is written to a test takes no more than its limit, over restarts; the client sees a
// full disk, and replication goes on. Asked for again with another limit it is the same
// export.
func TestATestTakesNoMoreThanItsLimit(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer func() { s.shut() }()
	w := newTraffic(s, 97)
	w.mustSend(5)
	const limit = 256 << 10
	open := api.OpenRequest{Group: "g", ID: "t1", Seq: s.head(), Scratch: true, Purpose: "test", Limit: limit}
	chunk := bytes.Repeat([]byte{7}, 16<<10)
	// fill writes from the chunk at on, until the export is full.
	fill := func(e api.Export, at int64) int64 {
		t.Helper()
		c := dialRoot(t, e)
		defer c.Close()
		for ; ; at++ {
			if off := at * int64(len(chunk)); off+int64(len(chunk)) > e.Disks[0].Size {
				t.Fatalf("the whole disk was written: %d bytes, and the limit is %d", off, limit)
			} else if _, err := c.WriteAt(chunk, off); errors.Is(err, syscall.ENOSPC) {
				return at
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	at := fill(must[api.Export](s, api.JournalOpen, open), 0)
	if at == 0 {
		t.Fatal("nothing could be written")
	}
	s.restart(cdp.Rollback)
	open.Limit *= 2
	e := must[api.Export](s, api.JournalOpen, open)
	if e.Limit != limit || e.Taken < limit/2 || e.Taken > limit {
		t.Errorf("limit %d, taken %d", e.Limit, e.Taken)
	}
	if more := fill(e, at) - at; more > 1 { // the room that was kept for the blocks at its edges
		t.Errorf("%d more writes fit after a restart", more)
	}
	w.mustSend(5)
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: open.ID, Force: true})
}
