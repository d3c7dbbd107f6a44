package pebblestore

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// formats counts the files that say which format a database has.
type formats struct {
	vfs.FS
	made atomic.Int64
}

func (f *formats) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.Contains(name, "format-version") {
		f.made.Add(1)
	}
	return f.FS.Create(name, c)
}

// A new store has the newest format from the beginning, and is opened with it again.
func TestANewStoreBeginsWithTheNewestFormat(t *testing.T) {
	fs := &formats{FS: vfs.NewMem()}
	for range 2 {
		d, err := Open("journals", Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		g, err := d.Group("web", []cdp.Disk{{Name: "disk", Size: 1 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		if v := g.s.current().FormatMajorVersion(); v != pebble.FormatNewest {
			t.Errorf("its format is %v, the newest is %v", v, pebble.FormatNewest)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := fs.made.Load(); n != 1 {
		t.Errorf("its format was written %d times", n)
	}
}
