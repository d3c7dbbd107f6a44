package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

const jobYAML = `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata:
  name: shop
spec:
  source:
    site: prod
    capture: inline
    disks:
      - {name: root, path: %[1]s/source/root.img}
      - {name: data, path: %[1]s/source/data.img}
  target:
    site: dr
    disks:
      - {name: root, path: %[1]s/replica/root.img}
      - {name: data, path: %[1]s/replica/data.img}
  rpo: 1s
  journal: {mode: rollback, history: 1h}
`

var (
	names = []string{"root", "data"}
	sizes = []int64{256 << 20, 64 << 20}
)

// disks is the demo over two plain disks.
type disks struct {
	teller
	dir string
	// sock is where capture serves the disks.
	sock string
	tm   *tidemark
	rec  record
	rng  *rand.Rand
	nbd  []*nbd.Client
}

// demoDir is the directory of a demo, absolute: a new one if none is given, which remove
// removes.
func demoDir(given string) (dir string, remove func() error, err error) {
	remove = func() error { return nil }
	if given == "" {
		made, err := os.MkdirTemp("", "tidemark-demo-")
		if err != nil {
			return "", nil, err
		}
		given, remove = made, func() error { return os.RemoveAll(made) }
	}
	dir, err = filepath.Abs(given)
	return dir, remove, err
}

func runDisks(ctx context.Context, bin, dir string, out io.Writer) (err error) {
	dir, remove, err := demoDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	d := &disks{teller: teller{out}, dir: dir, sock: filepath.Join(dir, "data/prod/capture/shop.sock"), rec: record{sizes: sizes}, rng: rand.New(rand.NewPCG(rand.Uint64(), 0))}
	began := time.Now()
	d.step(1, "Two sites start: prod, the source, and dr, the target")
	if d.tm, err = start(ctx, bin, dir, out); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.tm.stop()) }()
	if err := d.story(ctx); err != nil {
		return err
	}
	d.say("")
	d.say("The whole story took %s.", time.Since(began).Round(time.Second))
	return nil
}

func (d *disks) story(ctx context.Context) error {
	for _, act := range []func(context.Context) error{d.protect, d.work, d.test, d.attack, d.recover, d.disaster} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// protect makes the source disks, with some content, and the job.
func (d *disks) protect(ctx context.Context) error {
	d.step(2, "Two disks, %d MiB and %d MiB, are protected as one group", d.rec.sizes[0]>>20, d.rec.sizes[1]>>20)
	if err := os.MkdirAll(filepath.Join(d.dir, "source"), 0o700); err != nil {
		return err
	}
	for i, n := range names {
		if err := os.WriteFile(d.path("source", n), nil, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(d.path("source", n), d.rec.sizes[i]); err != nil {
			return err
		}
	}
	file := filepath.Join(d.dir, "shop.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, jobYAML, d.dir), 0o600); err != nil {
		return err
	}
	if err := d.tm.run(ctx, "apply", "-f", file); err != nil {
		return err
	}
	if err := d.tm.run(ctx, "job", "run", "shop"); err != nil {
		return err
	}
	if err := until(ctx, "the disks to be served", func() bool { _, err := os.Stat(d.sock); return err == nil }); err != nil {
		return err
	}
	for _, n := range names {
		c, err := nbd.Dial(ctx, "unix", d.sock, n)
		if err != nil {
			return err
		}
		d.nbd = append(d.nbd, c)
	}
	d.say("Their NBD exports are what a virtual machine would have as its disks.")
	return until(ctx, "the first recovery point", func() bool { ps, err := d.points(ctx); return err == nil && len(ps) > 0 })
}

func (d *disks) path(kind, name string) string { return filepath.Join(d.dir, kind, name+".img") }

func (d *disks) points(ctx context.Context) ([]cdp.Point, error) {
	return ask[[]cdp.Point](ctx, d.tm, "point", "list", "shop")
}

// write writes for a while, noting each write in the record before it is sent.
func (d *disks) write(ctx context.Context, dur time.Duration) error {
	for end := time.Now().Add(dur); time.Now().Before(end); {
		w, p := d.rec.next(d.rng)
		if _, err := d.nbd[w.disk].WriteAt(p, w.off); err != nil {
			return err
		}
		if len(d.rec.writes)%64 == 0 {
			if err := d.nbd[w.disk].Flush(); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
	}
	return nil
}

func (d *disks) work(ctx context.Context) error {
	d.step(3, "A client writes to both disks, in turn; a recovery point is made every second")
	for range 3 {
		if err := d.write(ctx, 2*time.Second); err != nil {
			return err
		}
		d.say("%d writes so far", len(d.rec.writes))
		if err := d.tm.run(ctx, "status"); err != nil {
			return err
		}
	}
	if err := d.tm.run(ctx, "point", "create", "shop", "--tag", "before-upgrade"); err != nil {
		return err
	}
	d.say("Writing goes on. The last points:")
	if err := d.write(ctx, 2*time.Second); err != nil {
		return err
	}
	return d.tm.run(ctx, "point", "list", "shop", "--last", "5")
}

func (d *disks) test(ctx context.Context) error {
	d.step(4, "A test failover to the point before the upgrade; replication goes on meanwhile")
	if err := d.tm.run(ctx, "failover", "shop", "--point", "before-upgrade", "--mode", "test"); err != nil {
		return err
	}
	if err := d.write(ctx, time.Second); err != nil {
		return err
	}
	n, err := d.proveExport(ctx, "test")
	if err != nil {
		return err
	}
	d.say("PROVEN: both disks of the test are, byte for byte, what they were after write %d of %d.", n, len(d.rec.writes))
	return d.tm.run(ctx, "failover", "cleanup", "shop")
}

// proveExport reads the disks of shop's open export for a purpose, and proves them.
func (d *disks) proveExport(ctx context.Context, purpose string) (int, error) {
	return d.tm.prove(ctx, "shop", purpose, d.rec)
}

// prove reads the disks of a job's open export for a purpose, and proves them.
func (t *tidemark) prove(ctx context.Context, job, purpose string, rec record) (int, error) {
	es, err := ask[[]api.Export](ctx, t, "export", "list", job)
	if err != nil {
		return 0, err
	}
	for _, e := range es {
		if e.Purpose != purpose {
			continue
		}
		var got [][]byte
		for _, x := range e.Disks {
			p, err := readExport(ctx, x)
			if err != nil {
				return 0, err
			}
			got = append(got, p)
		}
		return rec.prove(got)
	}
	return 0, fmt.Errorf("there is no export for %s", purpose)
}

func readExport(ctx context.Context, x api.ExportDisk) ([]byte, error) {
	u, err := url.Parse(x.URI)
	if err != nil {
		return nil, err
	}
	c, err := nbd.Dial(ctx, "unix", u.Query().Get("socket"), strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	p := make([]byte, x.Size)
	_, err = c.ReadAt(p, 0)
	return p, err
}

// attack is what nobody wants.
func (d *disks) attack(ctx context.Context) error {
	d.step(5, "Ransomware: everything on both disks is overwritten. It is replicated, too")
	time.Sleep(1100 * time.Millisecond) // so that a point stands between the work and the attack
	junk := make([]byte, 1<<20)
	for i, c := range d.nbd {
		for off := int64(0); off < sizes[i]; off += int64(len(junk)) {
			for k := 0; k < len(junk); k += 512 {
				junk[k] = byte(d.rng.Uint32())
			}
			if _, err := c.WriteAt(junk[:min(int64(len(junk)), sizes[i]-off)], off); err != nil {
				return err
			}
		}
	}
	d.say("320 MiB of junk were written.")
	time.Sleep(1500 * time.Millisecond)
	if err := d.tm.run(ctx, "status"); err != nil {
		return err
	}
	d.step(6, "And the source burns down: its disks are deleted")
	for i, n := range names {
		d.nbd[i].Abort()
		if err := os.Remove(d.path("source", n)); err != nil {
			return err
		}
	}
	return nil
}

func (d *disks) recover(ctx context.Context) error {
	ps, err := d.points(ctx)
	if err != nil {
		return err
	}
	// The newest point that is not touched by the attack: step back until the
	// content proves right, reading each candidate in place.
	d.step(7, "Which is the newest point before the attack? Points are read in place, nothing is copied")
	good := ""
	for i := len(ps) - 1; i >= 0; i-- {
		id := ps[i].ID()
		out, err := d.tm.quiet(ctx, "export", "shop", "--point", id, "--detach")
		if err != nil {
			return err
		}
		n, err := d.proveExport(ctx, "export")
		es, e := ask[[]api.Export](ctx, d.tm, "export", "list", "shop")
		if e != nil || len(es) != 1 {
			return fmt.Errorf("the export's end: %v %s", e, out)
		}
		if _, e := d.tm.quiet(ctx, "export", "close", "shop", es[0].ID); e != nil {
			return e
		}
		if err == nil {
			d.say("%s is clean: it has the first %d of the %d writes", id, n, len(d.rec.writes))
			good = id
			break
		}
		d.say("%s is damaged", id)
	}
	if good == "" {
		return errors.New("no point is clean")
	}
	d.step(8, "Failover to %s in production", good)
	if err := d.tm.run(ctx, "failover", "shop", "--point", good, "--mode", "production"); err != nil {
		return err
	}
	n, err := d.proveExport(ctx, "production")
	if err != nil {
		return err
	}
	d.say("PROVEN: the machine could run now, from disks that are what they were after write %d.", n)
	d.step(9, "It is right: the failover is made permanent")
	if err := d.tm.run(ctx, "failover", "commit", "shop"); err != nil {
		return err
	}
	var got [][]byte
	for _, name := range names {
		p, err := os.ReadFile(d.path("replica", name))
		if err != nil {
			return err
		}
		got = append(got, p)
	}
	if n, err = d.rec.prove(got); err != nil {
		return err
	}
	d.say("PROVEN: replica/root.img and replica/data.img are, byte for byte, the disks after write %d.", n)
	if lost := len(d.rec.writes) - n; lost > 0 {
		d.say("%d writes came after that point and before the attack.", lost)
	} else {
		d.say("No write before the attack was lost.")
	}
	return nil
}
