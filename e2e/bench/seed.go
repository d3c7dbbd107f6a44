package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/capture"
)

// benchSeed: a VM's disk is read from a snapshot, goes through a real bus into a
// real journal and is in the replica, durable; against qemu-img convert of
// the same disk, which flushes its copy too.
func benchSeed(b *Bench) error {
	size := b.size(8<<30) &^ (1<<20 - 1)
	disk := filepath.Join(b.dir, "disk.img")
	allocated, err := halfFull(disk, size)
	if err != nil {
		return err
	}
	var theirs, ours []float64
	err = b.eachRound(func() error {
		b.calm()
		copied := filepath.Join(b.dir, "copy.img")
		began := time.Now()
		if out, err := exec.CommandContext(b, "qemu-img", "convert", "-f", "raw", "-O", "raw", "-t", "writeback", disk, copied).CombinedOutput(); err != nil {
			return fmt.Errorf("qemu-img convert: %w: %s", err, out)
		}
		theirs = append(theirs, mbps(allocated, time.Since(began)))
		if err := os.Remove(copied); err != nil {
			return err
		}
		b.calm()
		d, err := seedOnce(b, disk, size, len(ours))
		if err == nil {
			ours = append(ours, mbps(allocated, d))
		}
		return err
	})
	if len(ours) > 0 {
		b.report("seed.qemu-img", theirs, "MB/s", info, fmt.Sprintf("qemu-img convert, flushed; %d of %d MiB allocated", allocated>>20, size>>20))
		b.report("seed", ours, "MB/s", info, "snapshot to replica, durable and merged")
		b.report("seed.ratio", ratios(ours, theirs), "x", atLeast(0.9), "of qemu-img convert")
	}
	return err
}

// seedOnce seeds into new sites and compares the replica.
func seedOnce(b *Bench, disk string, size int64, round int) (took time.Duration, err error) {
	dir := filepath.Join(b.dir, "r"+strconv.Itoa(round))
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g := []groupConfig{{Group: "seed", Path: disk, Size: size}}
	profile := func(of string) string {
		if b.profile == "" {
			return ""
		}
		return filepath.Join(b.profile, "seed-"+of+".pprof")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	src, url, err := startPlant(plantConfig{Profile: profile("source"),
		Source: &sourceConfig{Dir: filepath.Join(dir, "source"), Mode: cdp.CBT, Listen: true, Later: true, Groups: g}})
	if err != nil {
		return 0, err
	}
	dst, _, err := startPlant(plantConfig{Profile: profile("target"),
		Target: &targetConfig{Dir: filepath.Join(dir, "target"), URL: url, Mode: cdp.Rollback, Groups: g}})
	if err != nil {
		return 0, errors.Join(err, src.close())
	}
	s := &sites{src, dst}
	began := time.Now()
	if err = src.do("go"); err == nil {
		err = src.do("merged")
	}
	took = time.Since(began)
	if err = errors.Join(err, s.close()); err != nil {
		return took, err
	}
	if out, err := exec.CommandContext(b, "qemu-img", "compare", "-f", "raw", "-F", "raw", disk, filepath.Join(dir, "target", "seed.img")).CombinedOutput(); err != nil {
		return took, fmt.Errorf("the replica is not the disk: %w: %s", err, out)
	}
	return took, nil
}

// halfFull makes a disk whose every other run of 1 to 64 MiB holds data that
// does not repeat, and gives how many bytes that is.
func halfFull(path string, size int64) (allocated int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(size); err != nil {
		return 0, err
	}
	rng := rand.NewChaCha8([32]byte{1})
	r := rand.New(rng)
	buf := make([]byte, 1<<20)
	for off, data := int64(0), true; off < size; data = !data {
		n := min(int64(1+r.IntN(64))<<20, size-off)
		for end := off + n; data && off < end; off += int64(len(buf)) {
			rng.Read(buf)
			if _, err := f.WriteAt(buf, off); err != nil {
				return 0, err
			}
			allocated += int64(len(buf))
		}
		if !data {
			off += n
		}
	}
	return allocated, f.Sync()
}

// imageSnapshots gives the images themselves for snapshots; nobody writes to
// them.
type imageSnapshots struct{ groups []groupConfig }

func (s imageSnapshots) of(g cdp.GroupID) (groupConfig, error) {
	for _, c := range s.groups {
		if c.Group == g {
			return c, nil
		}
	}
	return groupConfig{}, cdp.Errorf(cdp.NotFound, "find group", string(g), "it is not benched")
}

func (s imageSnapshots) Freeze(_ context.Context, m capture.Machine, _ string) (capture.Frozen, error) {
	c, err := s.of(m.Group)
	return capture.Frozen{Disks: []capture.FrozenDisk{{Path: c.Path, ChangeID: "1"}}}, err
}

// Changed tells what is allocated, in whole MiB, as a vCenter would.
func (s imageSnapshots) Changed(_ context.Context, m capture.Machine, _ string, _ cdp.DiskID, since string, fn func(off, n int64)) error {
	c, err := s.of(m.Group)
	if err != nil || since != "*" {
		return err
	}
	f, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	for off := int64(0); off < c.Size; {
		data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if off, err = unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE); err != nil {
			return err
		}
		fn(data, off-data)
	}
	return nil
}

func (imageSnapshots) Thaw(context.Context, capture.Machine, string) error { return nil }
