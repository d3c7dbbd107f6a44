package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/cdp"
)

var inlineLoads = []workload{
	{"4k.d1", "randwrite 4k 1", atLeast(0.9), atLeast(0.8)},
	{"4k.d16", "randwrite 4k 16", info, atLeast(0.8)},
	{"64k.d8", "write 64k 8", info, atLeast(0.8)},
	{"1m.d4", "write 1m 4", info, atLeast(0.8)},
	{"4k.fsync", "randwrite 4k 1 --fsync=1", atLeast(0.9), atLeast(0.8)},
}

// benchInline: a guest's disk behind Tidemark, replicated as it is written
// through a real bus into a real journal, against nbdkit's file plugin, which
// only serves it.
func benchInline(b *Bench) error {
	size := b.size(256<<20) &^ (1<<20 - 1)
	long := 2 * time.Second
	if b.quick {
		long = 500 * time.Millisecond
	}
	socks, err := shortDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(socks)
	theirDir := filepath.Join(b.dir, "nbdkit")
	if err := os.Mkdir(theirDir, 0o700); err != nil {
		return err
	}
	var groups []groupConfig
	for i, w := range inlineLoads {
		g := groupConfig{Group: cdp.GroupID("g" + strconv.Itoa(i)), Size: size, Path: filepath.Join(b.dir, w.name), Socket: filepath.Join(socks, strconv.Itoa(i))}
		groups = append(groups, g)
		if err := errors.Join(fill(g.Path, size), fill(filepath.Join(theirDir, w.name), size)); err != nil {
			return err
		}
	}
	kitSock := filepath.Join(socks, "k")
	kit, err := startDaemon(kitSock, "nbdkit", "-f", "-U", kitSock, "file", "dir="+theirDir)
	if err != nil {
		return err
	}
	defer proc.Kill(kit)
	s, err := startSites(b, "inline", cdp.Inline, groups)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.source.do("ready"); err != nil {
		return err
	}
	var res [5]compared
	err = b.eachRound(func() error {
		for i, w := range inlineLoads {
			b.calm()
			if err := res[i].theirs(kit, "nbd+unix:///"+w.name+"?socket="+kitSock, size, long, w); err != nil {
				return err
			}
			if err := res[i].ours(s, "nbd+unix:///disk?socket="+groups[i].Socket, size, long, w); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
		return nil
	})
	for i, w := range inlineLoads {
		if len(res[i].us) > 0 {
			res[i].report(b, "inline."+w.name, w)
		}
	}
	n, err1 := s.source.ask("overflows")
	fmt.Printf("# inline: replication gave way to the guest (overflow) %s times\n", n)
	return errors.Join(err, err1)
}

// compared are rounds of one workload.
type compared struct {
	us, them                    []result
	cpuSource, cpuTarget, cpuIt []float64 // us for each write
	settle                      []float64 // s
}

func (c *compared) theirs(d *proc.Process, uri string, size int64, long time.Duration, w workload) error {
	c0, err := cpu(d.Pid())
	if err != nil {
		return err
	}
	r, err := fio(uri, size, long, w)
	if err != nil {
		return err
	}
	c1, err := cpu(d.Pid())
	c.them = append(c.them, r)
	c.cpuIt = append(c.cpuIt, float64((c1-c0).Microseconds())/r.n)
	return err
}

// ours waits, before and after, until all that was written is in the journal.
func (c *compared) ours(s *sites, uri string, size int64, long time.Duration, w workload) error {
	s0, t0, err := s.cpu()
	if err != nil {
		return err
	}
	r, err := fio(uri, size, long, w)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.source.do("settled"); err != nil {
		return err
	}
	c.settle = append(c.settle, time.Since(began).Seconds())
	s1, t1, err := s.cpu()
	c.us = append(c.us, r)
	c.cpuSource = append(c.cpuSource, float64((s1-s0).Microseconds())/r.n)
	c.cpuTarget = append(c.cpuTarget, float64((t1-t0).Microseconds())/r.n)
	return err
}

func (c *compared) report(b *Bench, name string, w workload) {
	var iops, lat, ours, theirs []float64
	for i := range c.us {
		iops = append(iops, c.us[i].iops/c.them[i].iops)
		lat = append(lat, c.them[i].p50/c.us[i].p50)
		ours, theirs = append(ours, c.us[i].p50), append(theirs, c.them[i].p50)
	}
	b.report(name+".latency", lat, "of nbdkit", w.lat, fmt.Sprintf("p50 %.0f us against %.0f", median(ours), median(theirs)))
	b.report(name+".speed", iops, "of nbdkit", w.speed, fmt.Sprintf("CPU us/write: source %.0f + target %.0f, nbdkit %.0f; all durable %.2f s after",
		median(c.cpuSource), median(c.cpuTarget), median(c.cpuIt), median(c.settle)))
}
