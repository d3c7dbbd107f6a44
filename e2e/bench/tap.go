package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/qmp"
	"tidemark.dev/pkg/cdp"
)

var tapLoads = []workload{
	{"4k.d1", "randwrite 4k 1", info, atLeast(1)},
	{"4k.d8", "randwrite 4k 8", info, atLeast(1)},
	{"64k", "write 64k 4", info, atLeast(1)},
	{"1m", "write 1m 4", info, atLeast(1)},
	{"4k.fsync", "randwrite 4k 1 --fsync=1", info, atLeast(1)},
}

// benchTap: a QEMU whose disk is mirrored, write-blocking, into Tidemark's tap,
// against the same into nbdkit's file plugin. The guest is fio on the QEMU
// storage daemon's own export of the mirrored node: the block layer is QEMU's,
// and no emulated processor is in the way.
func benchTap(b *Bench) error {
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
	group := groupConfig{Group: "tap", Size: size, Socket: filepath.Join(socks, "t")}
	s, err := startSites(b, "tap", cdp.Tap, []groupConfig{group})
	if err != nil {
		return err
	}
	defer s.close()
	copied := filepath.Join(b.dir, "copy")
	if err := fill(copied, size); err != nil {
		return err
	}
	kitSock := filepath.Join(socks, "k")
	kit, err := startDaemon(kitSock, "nbdkit", "-f", "-U", kitSock, "file", copied)
	if err != nil {
		return err
	}
	defer proc.Kill(kit)
	if err := s.source.do("attached"); err != nil {
		return err
	}
	guests := map[string]string{}
	for _, m := range []struct{ name, socket, export string }{{"a", group.Socket, "disk"}, {"b", kitSock, ""}} {
		image := filepath.Join(b.dir, m.name)
		if err := fill(image, size); err != nil {
			return err
		}
		d, uri, err := mirrored(b, socks, m.name, image, m.socket, m.export)
		if err != nil {
			return err
		}
		defer proc.Kill(d)
		guests[m.name] = uri
	}
	if err := s.source.do("ready"); err != nil {
		return err
	}
	res := make([]compared, len(tapLoads))
	err = b.eachRound(func() error {
		for i, w := range tapLoads {
			b.calm()
			if err := res[i].theirs(kit, guests["b"], size, long, w); err != nil {
				return err
			}
			if err := res[i].ours(s, guests["a"], size, long, w); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
		return nil
	})
	for i, w := range tapLoads {
		if len(res[i].us) > 0 {
			res[i].report(b, "tap."+w.name, w)
		}
	}
	return err
}

// mirrored starts a QEMU storage daemon over an image, mirrors the image into
// an NBD export, and gives where the image itself can be written.
func mirrored(ctx context.Context, dir, name, image, socket, export string) (_ *proc.Process, uri string, err error) {
	monitor, own := filepath.Join(dir, name+"m"), filepath.Join(dir, name+"s")
	d, err := startDaemon(own, "qemu-storage-daemon",
		"--chardev", "socket,id=mon,server=on,wait=off,path="+monitor,
		"--monitor", "chardev=mon",
		"--blockdev", "driver=file,node-name=src,filename="+image,
		"--nbd-server", "addr.type=unix,addr.path="+own,
		"--export", "type=nbd,id=e,node-name=src,name=src,writable=on")
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			proc.Kill(d)
		}
	}()
	var c *qmp.Client
	if err := until(ctx, 10*time.Second, func() (bool, error) { c, err = qmp.Dial(ctx, monitor); return err == nil, err }); err != nil {
		return nil, "", err
	}
	defer c.Close()
	if err := c.AddNBD(ctx, qmp.NBD{Node: "tgt", Address: socket, Export: export}); err != nil {
		return nil, "", err
	}
	m, err := qmp.StartMirror(ctx, c, qmp.MirrorConfig{Job: "tap", Device: "src", Target: "tgt"})
	if err != nil {
		return nil, "", err
	}
	if err := m.WaitReady(ctx); err != nil {
		return nil, "", errors.Join(err, ctx.Err())
	}
	return d, "nbd+unix:///src?socket=" + own, nil
}
