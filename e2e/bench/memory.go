package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// benchMemory: the whole of `tidemark up`, both sites in one process, with ten
// protected jobs of 100 GiB each whose guests write nothing.
func benchMemory(b *Bench) error {
	const jobs, size = 10, 100 << 30
	m, err := startMachine(b)
	if err != nil {
		return err
	}
	defer m.stop()
	tidemark, up := m.tidemark, m.up
	began := time.Now()
	for i := range jobs {
		if err := protectIdle(b, fmt.Sprintf("vm%d", i), size, tidemark); err != nil {
			return err
		}
	}
	if err := until(b, 90*time.Second, func() (bool, error) {
		out, err := tidemark("", "status")
		return err == nil && strings.Count(out, "protected") >= jobs, fmt.Errorf("%v: %s", err, out)
	}); err != nil {
		return err
	}
	protected := time.Since(began)
	time.Sleep(10 * time.Second)
	c0, err := cpu(up.Pid())
	if err != nil {
		return err
	}
	time.Sleep(10 * time.Second)
	c1, err := cpu(up.Pid())
	if err != nil {
		return err
	}
	mib, err := memoryOf(up.Pid())
	if err != nil {
		return err
	}
	b.report("memory", []float64{mib["VmRSS"]}, "MiB", atMost(300), fmt.Sprintf("ten idle groups of 100 GiB; anonymous %.0f, files %.0f, shared %.0f; peak %.0f",
		mib["RssAnon"], mib["RssFile"], mib["RssShmem"], mib["VmHWM"]))
	b.report("memory.cpu", []float64{(c1 - c0).Seconds() * 10}, "% CPU", info, fmt.Sprintf("idle; all were protected %.0f s after the first was applied", protected.Seconds()))
	return nil
}

// protectIdle protects a sparse disk that nobody writes to.
func protectIdle(b *Bench, name string, size int64, tidemark func(in string, args ...string) (string, error)) error {
	image := filepath.Join(b.dir, name+"-disk.img")
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	if _, err := tidemark(fmt.Sprintf(idleJob, name, image, filepath.Join(b.dir, name+".img")), "apply", "-f", "-"); err != nil {
		return err
	}
	_, err = tidemark("", "job", "run", name, "--no-wait")
	return err
}

// memoryOf is what /proc says of a process's memory, in MiB.
func memoryOf(pid int) (map[string]float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	mib := map[string]float64{}
	for line := range strings.Lines(string(raw)) {
		var kib float64
		if name, rest, ok := strings.Cut(line, ":"); ok {
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				mib[name] = kib / 1024
			}
		}
	}
	return mib, nil
}

const idleJob = `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: %s}
spec:
  source:
    site: prod
    capture: inline
    disks: [{name: disk, path: %s}]
  target:
    site: dr
    disks: [{name: disk, path: %s}]
  rpo: 5s
`
