package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/nbd"
)

const smallJob = `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: %[1]s}
spec:
  source: {site: prod, capture: inline, disks: [{name: disk, path: "%[2]s/source/%[1]s.img"}]}
  target: {site: dr, disks: [{name: disk, path: "%[2]s/replica/%[1]s.img"}]}
  rpo: 1s
`

const planYAML = `apiVersion: tidemark.dev/v1
kind: SiteRecoveryJob
metadata: {name: shop-dr}
spec:
  site: dr
  objective: 1m
  automaticProductionFailover: true
  triggers:
    - name: prod-gone
      unreachable: {site: prod, witnesses: [{name: one, key: "%s"}, {name: two, key: "%s"}]}
      for: 2s
      start: automatic
  actions:
    - {name: database, failover: {job: db}}
    - {name: front, failover: {job: web}}
`

// disaster has a plan fail two groups over by itself, when their site is killed.
func (d *disks) disaster(ctx context.Context) error {
	d.step(10, "Two more groups, db and web, and a plan that fails them over in order when prod is gone")
	groups := []string{"db", "web"}
	recs := map[string]*record{}
	for _, name := range groups {
		rec, err := d.group(ctx, name)
		if err != nil {
			return err
		}
		recs[name] = rec
	}
	witnesses, err := d.witnesses(ctx)
	defer func() { _ = proc.Stop(10*time.Second, witnesses...) }()
	if err != nil {
		return err
	}
	if err := d.tm.run(ctx, "plan", "trigger", "list", "shop-dr"); err != nil {
		return err
	}
	d.step(11, "kill -9 of prod, with everything on it. Nobody does anything else")
	killed := time.Now()
	proc.Kill(d.tm.prod)
	defer d.tm.forgetWindows()
	var last string
	err = until(ctx, "the plan to end", func() bool {
		out, err := d.tm.quiet(ctx, "plan", "status", "shop-dr")
		last = string(out)
		return err == nil && strings.Contains(last, "succeeded")
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	if err := d.tm.run(ctx, "plan", "status", "shop-dr"); err != nil {
		return err
	}
	for _, name := range groups {
		n, err := d.tm.prove(ctx, name, "production", *recs[name])
		if err == nil && n != len(recs[name].writes) {
			err = fmt.Errorf("%d of %d writes", n, len(recs[name].writes))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	d.say("PROVEN: %s after the kill both disks can be used at dr, in order and byte for byte.", time.Since(killed).Round(time.Second))
	return nil
}

// forgetWindows removes what the killed prod leaves in shared memory. Its next start
// would take that over, and there is none.
func (t *tidemark) forgetWindows() {
	sum := sha256.Sum256([]byte(filepath.Join(t.dir, "prod")))
	_ = os.RemoveAll("/dev/shm/tidemark/prod-" + hex.EncodeToString(sum[:6]))
}

// group protects a disk with some content, of which a point is made.
func (d *disks) group(ctx context.Context, name string) (*record, error) {
	const size = 16 << 20
	rec := &record{sizes: []int64{size}}
	if err := os.WriteFile(d.path("source", name), make([]byte, size), 0o600); err != nil {
		return nil, err
	}
	file := filepath.Join(d.dir, name+".yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, smallJob, name, d.dir), 0o600); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"apply", "-f", file}, {"job", "run", name}} {
		if _, err := d.tm.quiet(ctx, args...); err != nil {
			return nil, err
		}
	}
	sock := filepath.Join(d.dir, "data/prod/capture", name+".sock")
	if err := until(ctx, name+" to be served", func() bool { _, err := os.Stat(sock); return err == nil }); err != nil {
		return nil, err
	}
	c, err := nbd.Dial(ctx, "unix", sock, "disk")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for range 200 {
		w, p := rec.next(d.rng)
		if _, err := c.WriteAt(p, w.off); err != nil {
			return nil, err
		}
	}
	if err := c.Flush(); err != nil {
		return nil, err
	}
	return rec, until(ctx, "a point of "+name, func() bool { _, err := d.tm.quiet(ctx, "point", "create", name); return err == nil })
}

// witnesses starts two, and applies the plan that counts on them. They are returned
// with an error, too.
func (d *disks) witnesses(ctx context.Context) (started []*proc.Process, err error) {
	var keys []any
	for _, name := range []string{"one", "two"} {
		key := filepath.Join(d.dir, name+".key")
		out, err := d.tm.quiet(ctx, "witness", "--key", key, "--print-key")
		if err != nil {
			return started, err
		}
		keys = append(keys, strings.TrimSpace(string(out)))
		w := d.tm.process("witness "+name, "witness", "--site", "dr", "--key", key, "--every", "500ms", "--watch", "prod=nats://"+d.tm.bus)
		if err := w.Start(); err != nil {
			return started, err
		}
		started = append(started, w)
	}
	file := filepath.Join(d.dir, "plan.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, planYAML, keys...), 0o600); err != nil {
		return started, err
	}
	if err := d.tm.run(ctx, "plan", "apply", "-f", file); err != nil {
		return started, err
	}
	return started, until(ctx, "the witnesses to report", func() bool {
		out, err := d.tm.quiet(ctx, "plan", "trigger", "list", "shop-dr", "-o", "json")
		return err == nil && strings.Contains(string(out), `"0 of 2 witnesses see that prod does not answer, and 2 must"`)
	})
}
