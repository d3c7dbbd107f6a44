package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The transporter is built, deployed through a vCenter, boots on VMware's devices, joins
// the bus with the users that it was given, and keeps the journal of a job. An upgrade, which
// makes another VM, keeps that journal, too.
func TestTransporter(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	ova := filepath.Join(w.dir, "tidemark-transporter.ova")
	w.must(recipe{bin: tidemark, parts: "../../deploy/appliance", version: "1.0", dataGiB: 2}.build(w.ctx, ova))
	w.Logf("built after %.1fs", time.Since(began).Seconds())
	w.protect()
	w.transporter("deploy", "--name", "tm-dr", "--ova", ova)
	w.Logf("deployed after %.1fs", time.Since(began).Seconds())
	point := w.after(0)
	w.same(point)
	w.Logf("a point reads back after %.1fs", time.Since(began).Seconds())
	w.until("shop", "transporter", "list", "--site", "dr") // it keeps that journal
	w.transporter("upgrade", "tm-dr", "--ova", ova)
	w.Logf("upgraded after %.1fs", time.Since(began).Seconds())
	w.same(point)
	w.after(point) // it is written on
}

// protect applies a job of one disk with content, and starts it.
func (w *world) protect() {
	w.Helper()
	content := make([]byte, 4<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	w.write(w.disk(), string(content))
	w.write(filepath.Join(w.dir, "site.yaml"), "apiVersion: tidemark.dev/v1\nkind: Site\nmetadata: {name: dr}\nspec: {kind: vsphere, vsphere: {credentials: sim}}\n")
	w.write(filepath.Join(w.dir, "job.yaml"), `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: shop}
spec:
  source: {site: prod, capture: inline, disks: [{name: root, path: `+w.disk()+`}]}
  target: {site: dr, disks: [{name: root, path: /var/lib/tidemark/replicas/root.img}]}
  rpo: 1s
  journal: {mode: rollback, history: 1h, size: 256MiB}
`)
	w.until("No jobs", "status", "--site", "dr")
	w.run("apply", "-f", filepath.Join(w.dir, "site.yaml"), "--site", "dr")
}

func (w *world) disk() string { return filepath.Join(w.dir, "root.img") }

// transporter deploys or upgrades the transporter.
func (w *world) transporter(args ...string) {
	w.Helper()
	args = append(append([]string{"transporter"}, args...), "--site", "dr", "--host", "dr-esx1", "--datastore", "dr-ds1", "--network", "VM Network", "--timeout", bootWait.String(),
		"--set", "site=dr", "--set", "peers=prod", "--set", "disk-clients=anybody", "--set", "nats="+w.nats, "--set-file", "credentials="+filepath.Join(w.dir, "secrets", "journal.json"))
	w.run(args...)
	if args[1] == "deploy" {
		w.run("apply", "-f", filepath.Join(w.dir, "job.yaml"), "--site", "dr")
		w.run("job", "run", "shop", "--site", "dr")
	}
}

// after waits for a recovery point that is newer than another, and returns its number.
func (w *world) after(old uint64) uint64 {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, bootWait)
	defer cancel()
	for {
		var points []struct {
			Frame uint64 `json:"frame"`
		}
		out := w.until("[", "point", "list", "shop", "--site", "dr", "-o", "json")
		w.must(json.Unmarshal([]byte(out), &points))
		if n := len(points); n > 0 && points[n-1].Frame > old {
			return points[n-1].Frame
		}
		select {
		case <-ctx.Done():
			w.Fatalf("there is no recovery point after p%d: %s", old, out)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// same compares the disk at a point with the source's, which nobody has written to.
func (w *world) same(point uint64) {
	w.Helper()
	var x struct {
		ID    string `json:"id"`
		Disks []struct {
			URI string `json:"uri"`
		} `json:"disks"`
	}
	w.must(json.Unmarshal([]byte(w.until("nbd://", "export", "shop", "--site", "dr", "--point", fmt.Sprintf("p%d", point), "--listen", "0.0.0.0:10809", "--detach", "-o", "json")), &x))
	_, name, _ := strings.Cut(strings.TrimPrefix(x.Disks[0].URI, "nbd://"), "/")
	out, err := exec.CommandContext(w.ctx, "qemu-img", "compare", "-f", "raw", "-F", "raw", w.disk(), "nbd://"+w.forward+"/"+name).CombinedOutput()
	if err != nil {
		w.Fatalf("the disk at p%d is not the source's: %v %s", point, err, out)
	}
	w.run("export", "close", "shop", x.ID, "--site", "dr")
}
