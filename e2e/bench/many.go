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

// benchMany: many idle groups and some busy ones in one `tidemark up`. A thousand idle
// groups and a hundred busy ones are the aim; a fifth of that is run, so that it takes
// less than three minutes, and the targets are a fifth too where they grow with the
// number.
func benchMany(b *Bench) error {
	idle, busy := 200, 20
	if b.quick {
		idle, busy = 30, 5
	}
	m, err := startMachine(b)
	if err != nil {
		return err
	}
	defer m.stop()
	jobs, began := idle+busy, time.Now()
	if err := manyApply(b, m, jobs); err != nil {
		return err
	}
	b.report("many.apply", []float64{time.Since(began).Seconds()}, "s", atMost(float64(jobs)*60/1000), fmt.Sprintf("%d jobs in one file", jobs))
	if err := manyRun(m, jobs); err != nil {
		return err
	}
	if _, err := m.protected(b, jobs, time.Minute); err != nil {
		return err
	}
	before, err := cpu(m.up.Pid())
	if err != nil {
		return err
	}
	time.Sleep(10 * time.Second)
	after, err := cpu(m.up.Pid())
	if err != nil {
		return err
	}
	b.report("many.cpu", []float64{(after - before).Seconds() * 10}, "% CPU", atMost(float64(jobs)*25/1000), "idle, of one core")
	ctx, stop := context.WithCancel(b)
	guests, ctx := errgroup.WithContext(ctx)
	for i := range busy {
		guests.Go(func() error { return manyGuest(ctx, m, manyName(i)) })
	}
	time.Sleep(10 * time.Second)
	if err := manyReport(b, m, jobs); err != nil {
		stop()
		return errors.Join(err, guests.Wait())
	}
	stop()
	if err := guests.Wait(); err != nil {
		return err
	}
	began = time.Now()
	if err := proc.Stop(30*time.Second, m.up); err != nil {
		return err
	}
	if err := m.start(b); err != nil {
		return err
	}
	_, err = m.protected(b, jobs, time.Minute)
	b.report("many.restart", []float64{time.Since(began).Seconds()}, "s", atMost(60), "from the signal to all protected")
	return err
}

func manyName(i int) string { return fmt.Sprintf("vm%d", i) }

// manyApply describes jobs with sparse disks in one file, and applies it.
func manyApply(b *Bench, m *machine, jobs int) error {
	var docs []string
	for i := range jobs {
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

func manyRun(m *machine, jobs int) error {
	var eg errgroup.Group
	eg.SetLimit(4)
	for i := range jobs {
		eg.Go(func() error { _, err := m.tidemark("", "job", "run", manyName(i), "--no-wait"); return err })
	}
	return eg.Wait()
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

// manyReport reports what the process takes while some groups are busy.
func manyReport(b *Bench, m *machine, jobs int) error {
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
	b.report("many.memory", []float64{mib["VmRSS"]}, "MiB", atMost(max(300, float64(jobs)*2048/1100)),
		fmt.Sprintf("anonymous %.0f, shared %.0f; %d files open, %d threads", mib["RssAnon"], mib["RssShmem"], len(files), len(threads)))
	return nil
}
