package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aligned is memory that may go to the disk past the page cache.
func aligned(n int) []byte {
	b := make([]byte, n+4096)
	skip := (4096 - int(uintptr(unsafe.Pointer(&b[0]))%4096)) % 4096
	return b[skip : skip+n : skip+n]
}

// noise is content that does not compress.
func noise(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(p)
	return p
}

// rawAppend writes n bytes to a new file past the page cache, with an fdatasync
// every 8 MiB: what the disk can do at best for a log.
func rawAppend(path string, n int64) (time.Duration, error) {
	defer os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_DIRECT, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	p := aligned(1 << 20)
	copy(p, noise(len(p)))
	began := time.Now()
	for off := int64(0); off < n; off += int64(len(p)) {
		if _, err := f.WriteAt(p, off); err != nil {
			return 0, err
		}
		if (off/int64(len(p)))%8 == 7 {
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(began), f.Sync()
}

// written is how many bytes this process has caused to be written to disks.
func written() (int64, error) {
	raw, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, err
	}
	var n int64
	for line := range strings.Lines(string(raw)) {
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("/proc/self/io has no write_bytes")
}

// chill drops what the page cache holds of all files below dir, so that they
// are read from the disk.
func chill(dir string) error {
	return filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compacted away
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Sync(); err != nil {
			return err
		}
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
}

// fill writes a file of n bytes that do not compress.
func fill(path string, n int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	p := noise(1<<20 + 4096)
	for off := int64(0); off < n; off += 1 << 20 {
		if _, err := w.Write(p[off>>20%4096:][:min(1<<20, n-off)]); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// cpu is the processor time of a process, with all of its threads.
func cpu(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	s := string(raw)
	var user, system int64
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	fmt.Sscan(f[11], &user)
	fmt.Sscan(f[12], &system)
	return time.Duration(user+system) * time.Second / 100, nil // USER_HZ is 100 everywhere
}

// busy is the processor time spent on the machine so far, and how much of it by
// this process and the children it has waited for.
func busy() (all, own time.Duration, err error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	var t [8]int64 // user nice system idle iowait irq softirq steal
	if _, err := fmt.Sscanf(string(raw), "cpu %d %d %d %d %d %d %d %d", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
		return 0, 0, err
	}
	all = time.Duration(t[0]+t[1]+t[2]+t[5]+t[6]+t[7]) * time.Second / 100
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var ru unix.Rusage
		if err := unix.Getrusage(who, &ru); err != nil {
			return 0, 0, err
		}
		own += time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	return all, own, nil
}

// calm waits until the machine has nothing else to do: latencies mean little
// while others use the processors. It waits 20 s at most in one benchmark.
func (b *Bench) calm() {
	for ; b.waited < 40; b.waited++ {
		a0, _, err0 := busy()
		time.Sleep(500 * time.Millisecond)
		a1, _, err1 := busy()
		if err0 != nil || err1 != nil || b.Err() != nil || b.quick || a1-a0 < 100*time.Millisecond {
			return
		}
	}
}
