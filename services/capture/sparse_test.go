package capture

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// counted is a disk that counts what is read of it.
type counted struct {
	Disk
	read *atomic.Int64
}

func (c counted) ReadAt(p []byte, off int64) error {
	c.read.Add(int64(len(p)))
	return c.Disk.ReadAt(p, off)
}

// The first copy of a sparse disk costs what its data costs, however large the disk is
// and however many there are: its holes are neither read nor sent.
func TestAFirstCopyOfSparseDisksReadsAndSendsTheirDataOnly(t *testing.T) {
	const gib, text = 1 << 30, "some data"
	for _, x := range []struct {
		disks int
		size  int64
	}{{1, 3 << 40}, {64, 16 * gib}} {
		t.Run(fmt.Sprintf("%d of %d GiB", x.disks, x.size/gib), func(t *testing.T) {
			dir := t.TempDir()
			job := Job{Group: "shop", Mode: cdp.Inline}
			for i := range x.disks {
				path := filepath.Join(dir, fmt.Sprint("disk", i))
				f, err := os.Create(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				for _, off := range []int64{0, x.size / 2, x.size - 4096} {
					if _, err := f.WriteAt([]byte(text), off); err != nil {
						t.Fatal(err)
					}
				}
				if err := f.Truncate(x.size); err != nil {
					t.Fatal(err)
				}
				job.Disks = append(job.Disks, JobDisk{Disk: cdp.Disk{ID: cdp.DiskID(i), Name: fmt.Sprint("disk", i), Size: x.size}, Path: path})
			}
			var read atomic.Int64
			w, s := newBus(1), &swift{results: make(chan Result, 1024), durable: make(chan Durable, 1)}
			g, err := OpenGroup(job, Config{StateDir: filepath.Join(dir, "state"), WindowDir: filepath.Join(dir, "window")}, GroupDeps{
				Stream: func(cdp.GroupID) (Stream, error) { return s, nil }, Epochs: epochs{w}, Journal: journal{w},
				Disk: func(path string, readOnly bool) (Disk, error) {
					d, err := openFile(path, readOnly)
					return counted{d, &read}, err
				}})
			if err != nil {
				t.Fatal(err)
			}
			g.Start()
			defer func() {
				g.cancel()
				<-g.done
				g.release(true)
			}()
			data := int64(x.disks * 3 * 4096)
			for end := time.Now().Add(2 * time.Minute); g.Status().State != event.Replicating || s.bytes.Load() < data; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d bytes of %d were sent: %+v", s.bytes.Load(), data, g.Status())
				}
			}
			// Three pieces a disk, each in a region that is read whole, or several.
			if most := int64(x.disks) * 3 << 20; read.Load() > most || s.bytes.Load() > most {
				t.Errorf("%d bytes were read and %d sent, at most %d expected", read.Load(), s.bytes.Load(), most)
			}
		})
	}
}
