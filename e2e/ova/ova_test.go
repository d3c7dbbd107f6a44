package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The transporter is built, deployed through a vCenter, boots on VMware's devices, joins
// the bus with the users that it was given, sets its clock, and keeps the journal of a job.
// Its file system grows with the disk while it runs. An upgrade, which makes another VM with
// an address of its own, keeps that journal, too. Who shuts it down finds it in order.
func TestTransporter(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	ova := filepath.Join(w.dir, "tidemark-transporter.ova")
	w.must(recipe{bin: tidemark, parts: "../../deploy/appliance", version: "1.0", dataGiB: 2}.build(w.ctx, ova))
	w.Logf("built after %.1fs", time.Since(began).Seconds())
	w.protect()
	w.transporter("deploy", "--name", "tm-dr", "--ova", ova)
	w.Logf("deployed after %.1fs", time.Since(began).Seconds())
	w.must(w.hyper.tell(w.ctx, "block_resize", map[string]any{"device": "d1", "size": 3 << 30}))
	point := w.after(0)
	w.same(point)
	w.Logf("a point reads back after %.1fs", time.Since(began).Seconds())
	w.until("shop", "transporter", "list", "--site", "dr") // it keeps that journal
	w.shows("the larger disk", func(console string) bool {
		all := regexp.MustCompile(`journals: \d+ of (\d+) MiB`).FindAllStringSubmatch(console, -1)
		if len(all) == 0 {
			return false
		}
		now, err := strconv.Atoi(all[len(all)-1][1])
		return err == nil && now > 2500
	})
	w.shows("the right clock", func(string) bool { return w.clock.corrected(1) })
	w.Logf("grown after %.1fs", time.Since(began).Seconds())
	w.transporter("upgrade", "tm-dr", "--ova", ova, "--set", "address=10.0.2.77/24", "--set", "gateway=10.0.2.2", "--set", "dns=10.0.2.3")
	w.Logf("upgraded after %.1fs", time.Since(began).Seconds())
	w.same(point)
	w.after(point) // it is written on
	w.shows("its own address", func(console string) bool { return strings.Contains(console, "tidemark: address: 10.0.2.77/24 (") })
	w.shows("the right clock", func(string) bool { return w.clock.corrected(2) })
	w.off()
	w.Logf("off after %.1fs", time.Since(began).Seconds())
}

// shows waits until the console of the newest boot does.
func (w *world) shows(what string, ok func(console string) bool) {
	w.Helper()
	p, _ := w.hyper.newest()
	for end := time.Now().Add(2 * time.Minute); !ok(p.Tail(1 << 20)); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("%s never shows %s", p.Name, what)
		}
	}
}

// off presses the power button: the services end, and the file system of the journals needs
// no repair and has nothing to be played back.
func (w *world) off() {
	w.Helper()
	p, disk := w.hyper.newest()
	w.must(w.hyper.tell(w.ctx, "system_powerdown", nil))
	w.shows("an end in order", func(console string) bool {
		return strings.Contains(console, "the services ended in order, the data disk is unmounted; it is off")
	})
	select {
	case <-p.Done():
	case <-time.After(time.Minute):
		w.Fatal("the machine is not off")
	}
	out, err := exec.CommandContext(w.ctx, "/sbin/dumpe2fs", "-h", disk).CombinedOutput()
	if err != nil || !regexp.MustCompile(`state: +clean\n`).Match(out) || strings.Contains(string(out), "needs_recovery") {
		w.Errorf("the data disk is not clean: %v\n%s", err, out)
	}
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
		"--set", "site=dr", "--set", "peers=prod", "--set", "disk-clients=anybody", "--set", "ntp="+w.clock.address, "--set", "nats="+w.nats, "--set-file", "credentials="+filepath.Join(w.dir, "secrets", "journal.json"))
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

// The kernel is told the same by both boot loaders.
func TestBothBootLoadersTellTheKernelTheSame(t *testing.T) {
	var said []string
	for file, line := range map[string]string{"syslinux.cfg": `(?m)^  APPEND initrd=/initrd (.+)$`, "tidemark.conf": `(?m)^options (.+)$`} {
		text, err := os.ReadFile(filepath.Join("../../deploy/appliance", file))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(line).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s does not boot anything:\n%s", file, text)
		}
		said = append(said, string(m[1]))
	}
	if said[0] != said[1] || !strings.Contains(said[0], "rdinit=/tidemark") {
		t.Errorf("%q", said)
	}
}
