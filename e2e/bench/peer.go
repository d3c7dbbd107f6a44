package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
)

// startDaemon starts a program and waits until its unix socket answers.
func startDaemon(socket, program string, args ...string) (*proc.Process, error) {
	d := &proc.Process{Name: program, Args: append([]string{program}, args...), Log: socket + ".log"}
	if err := d.Start(); err != nil {
		return nil, fmt.Errorf("%w: apt-get install nbdkit qemu-utils qemu-system-common", err)
	}
	for range 1000 {
		if c, err := net.Dial("unix", socket); err == nil {
			return d, c.Close()
		}
		time.Sleep(5 * time.Millisecond)
	}
	proc.Kill(d)
	return nil, fmt.Errorf("%s does not listen: %s", program, d.Tail(2000))
}

// workload is one way to write to a disk.
type workload struct {
	name  string
	args  string // rw, block size, depth, and what else fio is told
	lat   bound  // of the ratio of p50 latencies, theirs over ours
	speed bound  // of the ratio of writes per second
}

// written is what fio saw.
type result struct {
	iops float64
	p50  float64 // us
	n    float64 // writes
}

// fio writes through an NBD export.
func fio(uri string, size int64, long time.Duration, w workload) (result, error) {
	f := strings.Fields(w.args)
	args := append([]string{"--name=j", "--ioengine=nbd", "--uri=" + uri, "--rw=" + f[0], "--bs=" + f[1], "--iodepth=" + f[2],
		fmt.Sprintf("--size=%d", size), "--time_based", fmt.Sprintf("--runtime=%dms", long.Milliseconds()), "--randrepeat=0",
		"--refill_buffers=0", "--output-format=json"}, f[3:]...)
	out, err := exec.Command("fio", args...).Output()
	if err != nil {
		var x *exec.ExitError
		if errors.As(err, &x) {
			out = x.Stderr
		}
		return result{}, fmt.Errorf("fio %v: %w: %.500s", args, err, out)
	}
	var r struct {
		Jobs []struct {
			Write struct {
				IOPS  float64
				Total float64 `json:"total_ios"`
				Clat  struct {
					Percentile map[string]float64
				} `json:"clat_ns"`
			}
		}
	}
	s := string(out)
	if err := json.Unmarshal([]byte(s[max(0, strings.Index(s, "{")):]), &r); err != nil || len(r.Jobs) == 0 {
		return result{}, fmt.Errorf("fio said %q: %w", s, err)
	}
	j := r.Jobs[0].Write
	return result{iops: j.IOPS, p50: j.Clat.Percentile["50.000000"] / 1000, n: j.Total}, nil
}

// shortDir is a directory whose path leaves room in a socket's address.
func shortDir() (string, error) { return os.MkdirTemp("", "tmb") }
