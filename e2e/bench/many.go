package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/nbd"
)

// benchMany: a thousand idle groups and a hundred busy ones, which write 5 MB/s together,
// in one `tidemark up` with both sites. Their RPO is 30 s.
func benchMany(b *Bench) error {
	idle, busy := 1000, 100
	if b.quick {
		idle, busy = 30, 5
	}
	m, err := startMachine(b)
	if err != nil {
		return err
	}
	defer m.stop()
	began := time.Now()
	if err := manyApply(b, m, 0, idle); err != nil {
		return err
	}
	b.report("many.apply", []float64{time.Since(began).Seconds()}, "s", atMost(60), fmt.Sprintf("%d jobs in one file", idle))
	if err := manyProtect(b, m, 0, idle); err != nil {
		return err
	}
	if err := manyIdle(b, m); err != nil {
		return err
	}
	if err := manyApply(b, m, idle, idle+busy); err != nil {
		return err
	}
	if err := manyProtect(b, m, idle, idle+busy); err != nil {
		return err
	}
	if err := manyBusy(b, m, idle, idle+busy); err != nil {
		return err
	}
	began = time.Now()
	if err := proc.Stop(30*time.Second, m.up); err != nil {
		return err
	}
	stopped := time.Since(began)
	if err := m.start(b); err != nil {
		return err
	}
	_, err = m.count(b, idle+busy, manyPatience, " protected ", " settling ")
	b.report("many.restart", []float64{time.Since(began).Seconds()}, "s", atMost(60),
		fmt.Sprintf("from the signal until all are within their RPO; %.1f s of it to stop. A job that breached it meanwhile is settling", stopped.Seconds()))
	return err
}

// manyPatience is how long the groups may take until they are protected, to see how long.
const manyPatience = 5 * time.Minute

// manyIdle reports what the process takes while no guest writes: each group makes a
// recovery point in that time.
func manyIdle(b *Bench, m *machine) error {
	const over = 30 * time.Second
	time.Sleep(over)
	before, err := cpu(m.up.Pid())
	if err != nil {
		return err
	}
	time.Sleep(over)
	after, err := cpu(m.up.Pid())
	if err != nil {
		return err
	}
	b.report("many.cpu", []float64{(after - before).Seconds() * 100 / over.Seconds()}, "% CPU", atMost(25), "idle, of one core")
	return nil
}

// manyBusy reports what the process takes while some groups are busy.
func manyBusy(b *Bench, m *machine, from, to int) error {
	ctx, stop := context.WithCancel(b)
	guests, ctx := errgroup.WithContext(ctx)
	for i := from; i < to; i++ {
		guests.Go(func() error { return manyGuest(ctx, m, manyName(i)) })
	}
	time.Sleep(20 * time.Second)
	err := manyReport(b, m)
	stop()
	return errors.Join(err, guests.Wait())
}

func manyName(i int) string { return fmt.Sprintf("vm%d", i) }

// manyApply describes jobs with sparse disks in one file, and applies it.
func manyApply(b *Bench, m *machine, from, to int) error {
	var docs []string
	for i := from; i < to; i++ {
		image := filepath.Join(b.dir, manyName(i)+"-disk.img")
		f, err := os.Create(image)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(1<<30), f.Close()); err != nil {
			return err
		}
		doc := fmt.Sprintf(idleJob, manyName(i), image, filepath.Join(b.dir, manyName(i)+".img"))
		doc = strings.Replace(doc, "    capture: inline\n", "    capture: inline\n    listen: "+manySocket(m, manyName(i))+"\n", 1)
		docs = append(docs, strings.Replace(doc, "rpo: 5s", "rpo: 30s", 1))
	}
	_, err := m.tidemark(strings.Join(docs, "---\n"), "apply", "-f", "-")
	return err
}

func manySocket(m *machine, job string) string { return filepath.Join(m.dir, job+".sock") }

// manyProtect runs jobs, and waits until all up to the last are protected.
func manyProtect(b *Bench, m *machine, from, to int) error {
	began := time.Now()
	var eg errgroup.Group
	eg.SetLimit(4)
	for i := from; i < to; i++ {
		eg.Go(func() error { _, err := m.tidemark("", "job", "run", manyName(i), "--no-wait"); return err })
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	_, err := m.protected(b, to, manyPatience)
	b.report("many.run", []float64{time.Since(began).Seconds()}, "s", info, fmt.Sprintf("from the first of %d commands to all protected", to-from))
	return err
}

// manyGuest writes 50 KB/s until ctx ends.
func manyGuest(ctx context.Context, m *machine, job string) error {
	c, err := nbd.Dial(ctx, "unix", manySocket(m, job), "disk")
	if err != nil {
		return err
	}
	defer c.Close()
	data, tick := make([]byte, 4096), time.NewTicker(80*time.Millisecond)
	defer tick.Stop()
	for n := int64(0); ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		data[0] = byte(n)
		if _, err := c.WriteAt(data, n*7919%(1<<18)*4096); err != nil {
			return err
		}
	}
}

// manyReport reports how long a status takes, and what the process holds.
func manyReport(b *Bench, m *machine) error {
	began := time.Now()
	if _, err := m.tidemark("", "status"); err != nil {
		return err
	}
	b.report("many.status", []float64{time.Since(began).Seconds()}, "s", atMost(2), "")
	mib, err := memoryOf(m.up.Pid())
	if err != nil {
		return err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.up.Pid()))
	if err != nil {
		return err
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", m.up.Pid()))
	if err != nil {
		return err
	}
	b.report("many.memory", []float64{mib["VmRSS"]}, "MiB", atMost(2048),
		fmt.Sprintf("anonymous %.0f, shared %.0f; %d files open, %d threads", mib["RssAnon"], mib["RssShmem"], len(files), len(threads)))
	return nil
}
