package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// benchFirst: first copies of disks that are large, or many, and nearly empty, in one
// `tidemark up`. Disks and replicas are in /dev/shm: few file systems have room for a
// name of 62 TiB.
func benchFirst(b *Bench) error {
	images, err := os.MkdirTemp("/dev/shm", "tmb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(images)
	m, err := startMachine(b, images)
	if err != nil {
		return err
	}
	defer m.stop()
	for _, x := range []struct {
		name  string
		disks int
		size  int64
		most  float64 // MiB of memory that is not a file's
	}{{"disks-64", 64, 100 << 30, 300}, {"one-of-3tib", 1, 3 << 40, 300}, {"one-of-62tib", 1, 62 << 40, 300}} {
		took, err := firstCopy(m, images, x.name, x.disks, x.size)
		if err != nil {
			return err
		}
		b.report("first."+x.name, []float64{took.Seconds()}, "s", atMost(15), "from `job run` until it is protected")
		mib, err := memoryOf(m.up.Pid())
		if err != nil {
			return err
		}
		b.report("first."+x.name+".memory", []float64{mib["RssAnon"]}, "MiB", atMost(x.most),
			fmt.Sprintf("anonymous; peak %.0f with files, of which the dirty map is one: 6 MiB a TiB", mib["VmHWM"]))
	}
	return nil
}

// firstCopy protects disks of a few bytes of data each, and waits for it.
func firstCopy(m *machine, images, name string, disks int, size int64) (time.Duration, error) {
	var from, to []string
	for i := range disks {
		source := filepath.Join(images, fmt.Sprintf("%s-%d-disk.img", name, i))
		f, err := os.Create(source)
		if err != nil {
			return 0, err
		}
		_, err = f.WriteAt([]byte("some data"), size/2)
		if err := errors.Join(err, f.Truncate(size), f.Close()); err != nil {
			return 0, err
		}
		disk := fmt.Sprintf("{name: disk%d, path: %%s}", i)
		from = append(from, fmt.Sprintf(disk, source))
		to = append(to, fmt.Sprintf(disk, filepath.Join(images, fmt.Sprintf("%s-%d.img", name, i))))
	}
	doc := strings.ReplaceAll(idleJob, "{name: disk, path: %s}", "%s")
	if _, err := m.tidemark(fmt.Sprintf(doc, name, strings.Join(from, ", "), strings.Join(to, ", ")), "apply", "-f", "-"); err != nil {
		return 0, err
	}
	began := time.Now()
	_, err := m.tidemark("", "job", "run", name) // it waits
	return time.Since(began), err
}
