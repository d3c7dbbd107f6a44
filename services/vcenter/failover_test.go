package vcenter_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

// failover is a world with a replica that is ready; the source is dead.
func failover(t *testing.T, change func(*spec.VMJob)) *world {
	w := newWorld(t)
	w.readyThenDead(change)
	return w
}

// readyThenDead protects a VM until its replica is ready, and then has the source die.
func (w *world) readyThenDead(change func(*spec.VMJob)) {
	w.t.Helper()
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	w.must(w.a.sim.Tools("web01", true, "10.0.0.5"))
	job := shop(w.b)
	if change != nil {
		change(&job)
	}
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	w.mu.Lock()
	w.cut = true
	w.mu.Unlock()
}

func (w *world) step(name string, test bool) api.VMRunReply {
	w.t.Helper()
	r, err := w.tryStep(name, test)
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return r
}

func (w *world) tryStep(name string, test bool) (api.VMRunReply, error) {
	for {
		r, err := ask[api.VMRunReply](w.ctx, w.b, name, api.VMRunRequest{Job: "shop-web01", Run: "01jrun0000test42", Test: test, Disks: w.then})
		if err != nil || r.Done {
			return r, err
		}
	}
}

// lying restarts the service of site b over a vCenter that accepts each of these calls
// once, and then does not do it. More calls can be named later.
func (w *world) lying(calls ...string) *faulty {
	f := &faulty{VCenter: w.b.vc}
	w.b.stop()
	w.b.vc = f
	w.b.start()
	f.deceive(calls...)
	return f
}

// insist asks for a step again while its error is one that passes.
func (w *world) insist(name string, test bool) api.VMRunReply {
	w.t.Helper()
	for {
		r, err := w.tryStep(name, test)
		if err == nil {
			return r
		}
		if !cdp.Is(err, cdp.Transient) {
			w.t.Fatalf("%s: %v", name, err)
		}
	}
}

// The replica VM runs with its disks. Undo discards what it wrote; commit makes it
// the VM. A step is done when the vCenter shows that it is, not when a task was accepted.
func TestProductionFailoverCanBeUndoneOrCommitted(t *testing.T) {
	script := filepath.Join(t.TempDir(), "check")
	write(t, script, "#!/bin/sh\necho $TIDEMARK_VM of $TIDEMARK_JOB in $TIDEMARK_RUN\n")
	w := failover(t, func(j *spec.VMJob) {
		j.Target.ReIP = []inventory.ReIP{{From: "10.0.0.0/24", To: "192.0.2.0/24"}}
		j.Checks = inventory.Checks{Tools: true, Ping: true, Script: script, Timeout: 20 * time.Second}
	})
	before := w.picture(w.b)
	paths := w.paths()
	put(t, paths[0], 1000, "as it was")
	f := w.lying("Snapshot", "Connect", "PowerOn", "RemoveSnapshot")
	w.insist(api.VMAttach, false)
	if st := w.states()["web01"]; st != "failed-over" {
		t.Error(st)
	}
	boot := w.insist(api.VMBoot, false)
	if boot.VM == nil || boot.VM.Power != "on" || boot.VM.Name != "web01-replica" {
		t.Fatalf("%+v", boot)
	}
	v, _ := w.vm(w.b, "web01-replica")
	if len(v.Snapshots) != 1 || v.Hardware.Address(v.Hardware.Disks[1]) != "scsi0:1" {
		t.Errorf("%+v", v)
	}
	w.must(w.b.sim.GuestWrite("web01-replica", v.Hardware.Disks[0].Key, 1000, []byte("overwritten")))
	w.must(w.b.sim.Tools("web01-replica", true, "192.0.2.5"))
	check := w.insist(api.VMCheck, false)
	for _, c := range check.VM.Checks {
		if !c.OK || c.Name == "script" && c.Text != "web01-replica of shop-web01 in 01jrun0000test42" {
			t.Errorf("%+v", c)
		}
	}
	if len(check.VM.Checks) != 5 || fmt.Sprint(check.VM.IPs) != "[192.0.2.5]" {
		t.Errorf("%+v", check.VM)
	}
	w.insist(api.VMStop, false)
	back := w.insist(api.VMReturn, false)
	if fmt.Sprint(back.Paths) != fmt.Sprint(paths) {
		t.Error(back.Paths, paths)
	}
	if got := get(t, paths[0], 1000, 9); got != "as it was" {
		t.Errorf("the replica has %q", got)
	}
	if left := f.believed(); len(left) > 0 {
		t.Errorf("never asked for: %v", left)
	}
	w.step(api.VMReturn, false)
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	w.until("it is reconciled again", func() bool { return w.states()["web01"] == "ready" })

	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	if err := w.b.refused(api.VMStop, api.VMRunRequest{Job: "shop-web01", Run: "other"}); !cdp.Is(err, cdp.Conflict) {
		t.Error("a second run:", err)
	}
	if err := w.b.refused(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop"}); !cdp.Is(err, cdp.Conflict) {
		t.Error("deleted in a failover:", err)
	}
	w.step(api.VMKeep, false)
	w.step(api.VMKeep, false)
	v, _ = w.vm(w.b, "web01-replica")
	if len(v.Snapshots) != 0 || v.Power != "on" || v.Ours() || !strings.Contains(v.Note, "Failed over from web01") {
		t.Errorf("%+v", v)
	}
	if _, err := w.tryStep(api.VMReturn, false); !cdp.Is(err, cdp.Conflict) {
		t.Error("returned after commit:", err)
	}
	w.mu.Lock()
	w.cut = false
	w.mu.Unlock()
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if v, there := w.vm(w.b, "web01-replica"); !there || len(v.Hardware.Disks) != 2 {
		t.Error("a VM that was failed over to went with its job")
	}
}

// A test has its own VM on its own network, and cleanup removes all of it.
func TestATestFailoverLeavesNothing(t *testing.T) {
	w := failover(t, nil)
	before := w.picture(w.b)
	f := w.lying()
	b := w.step(api.VMBuild, true)
	if len(b.Paths) != 2 || b.Paths[0] == w.paths()[0] {
		t.Fatalf("%+v", b)
	}
	put(t, b.Paths[0], 0, "filled")
	w.step(api.VMAttach, true)
	boot := w.step(api.VMBoot, true)
	if boot.VM.Name != "web01-replica-test-00test42" {
		t.Error(boot.VM.Name)
	}
	v, _ := w.vm(w.b, boot.VM.Name)
	got := make([]byte, 6)
	w.must(w.b.sim.GuestRead(v.Name, v.Hardware.Disks[0].Key, 0, got))
	if string(got) != "filled" || v.Mark(inventory.MarkRun) == "" {
		t.Errorf("%q %+v", got, v)
	}
	inv := w.inventory(w.b)
	if v.Hardware.NICs[0].Network != inv.Networks[1].Ref {
		t.Errorf("%+v", v.Hardware.NICs)
	}
	if w.states()["web01"] != "ready" {
		t.Error("the test touched the replica")
	}
	check := w.step(api.VMCheck, true)
	if len(check.VM.Checks) != 1 || !check.VM.Checks[0].OK {
		t.Errorf("%+v", check.VM)
	}
	// A foreign disk attached to it must not be deleted with it.
	file := "[" + inv.Datastores[0].Name + "] precious/precious.vmdk"
	w.must(w.b.c.MakeDisk(w.ctx, inv.Datacenters[0].Ref, file, mib))
	_, err := w.b.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: file, Address: "scsi0:9"}})
	w.must(err)
	f.deceive("PowerOff", "Unplug", "Destroy")
	w.insist(api.VMStop, true)
	w.insist(api.VMRemove, true)
	w.step(api.VMRemove, true)
	if left := f.believed(); len(left) > 0 {
		t.Errorf("never asked for: %v", left)
	}
	if _, err := w.b.vc.DiskSize(w.ctx, inv.Datacenters[0].Ref, file); err != nil {
		t.Error("a foreign disk was deleted:", err)
	}
	w.must(w.b.c.DeleteDisk(w.ctx, inv.Datacenters[0].Ref, file, ""))
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// A failed check changes nothing.
func TestAFailedCheckIsReported(t *testing.T) {
	w := failover(t, func(j *spec.VMJob) {
		j.Checks = inventory.Checks{Tools: true, Ports: []int{1}, Timeout: 300 * time.Millisecond}
	})
	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	check := w.step(api.VMCheck, false)
	bad := 0
	for _, c := range check.VM.Checks {
		if !c.OK && c.Text != "" {
			bad++
		}
	}
	if bad != 2 || check.VM.Power != "on" {
		t.Errorf("%+v", check.VM)
	}
}

// uncommit looks at the VM that was kept and brings everything back.
func (w *world) uncommit() string {
	w.t.Helper()
	got := w.picture(w.b)
	w.must(w.b.recs.Delete(w.ctx, "run.shop-web01"))
	v, _ := w.vm(w.b, "web01-replica")
	w.must(w.b.c.PowerOff(w.ctx, v.Ref))
	for _, d := range v.Hardware.Disks {
		w.must(w.b.c.Unplug(w.ctx, v.Ref, []string{d.File}))
	}
	w.must(w.b.c.Label(w.ctx, v.Ref, "", "a replica again", map[string]string{inventory.MarkGroup: "shop-web01", inventory.MarkJob: "shop"}))
	w.must(w.b.c.Block(context.WithoutCancel(w.ctx), v.Ref, "test"))
	w.step(api.VMReturn, false)
	return got
}

// paths are where the replica's disks are at the transporter.
func (w *world) paths() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, d := range w.groups["shop-web01"].Target.Disks {
		out = append(out, d.Path)
	}
	return out
}

func put(t *testing.T, path string, off int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), off); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, path string, off int64, n int) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, n)
	if _, err := f.ReadAt(p, off); err != nil {
		t.Fatal(err)
	}
	return string(bytes.Clone(p))
}

func TestUndoDoesNotWaitForChecks(t *testing.T) {
	w := failover(t, func(j *spec.VMJob) {
		j.Checks = inventory.Checks{Ports: []int{1}, Timeout: 24 * time.Hour}
	})
	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	r, err := ask[api.VMRunReply](w.ctx, w.b, api.VMCheck, api.VMRunRequest{Job: "shop-web01", Run: "01jrun0000test42"})
	w.must(err)
	if r.Done {
		t.Fatalf("%+v", r)
	}
	w.step(api.VMStop, false)
	w.step(api.VMReturn, false)
}

// Not every host can block power-on.
func TestAReplicaPoweredOnByHandCanFailOver(t *testing.T) {
	w := failover(t, nil)
	v, _ := w.vm(w.b, "web01-replica")
	w.must(w.b.c.Unblock(w.ctx, v.Ref))
	w.must(w.b.c.PowerOn(w.ctx, v.Ref))
	w.until("it is reported", func() bool { return len(w.alarms(event.AlarmReplicaRuns)) == 1 })
	st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{})
	w.must(err)
	if st.Jobs[0].Members[0].Trouble == "" {
		t.Errorf("%+v", st.Jobs[0])
	}
	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	v, _ = w.vm(w.b, "web01-replica")
	if len(v.Hardware.Disks) != 2 || v.Power != "on" {
		t.Errorf("failed over to a VM with %d disks that is %s", len(v.Hardware.Disks), v.Power)
	}
	w.step(api.VMReturn, false)
	w.until("its end is reported", func() bool { return len(w.alarms(event.AlarmReplicaRuns)) == 2 })
}

// Snapshots that an earlier lost answer left are removed.
func TestALostAnswerAboutSnapshotsIsNotTakenForNone(t *testing.T) {
	w := failover(t, nil)
	w.b.stop()
	deaf := &deafOnce{VCenter: w.b.c}
	w.b.vc = deaf
	w.b.start()
	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	v, _ := w.vm(w.b, "web01-replica")
	w.must(w.b.c.PowerOff(w.ctx, v.Ref)) // the guest went down before boot's end was known
	deaf.set()
	if _, err := w.tryStep(api.VMBoot, false); !cdp.Is(err, cdp.Transient) {
		t.Errorf("%v", err)
	}
	w.step(api.VMBoot, false)
	v, _ = w.vm(w.b, "web01-replica")
	if len(v.Snapshots) != 1 {
		t.Fatalf("%+v", v.Snapshots)
	}
	_, err := w.b.c.Snapshot(w.ctx, v.Ref, v.Snapshots[0].Name, "", false)
	w.must(err)
	w.step(api.VMReturn, false)
	if v, _ = w.vm(w.b, "web01-replica"); len(v.Snapshots) != 0 {
		t.Errorf("%+v", v.Snapshots)
	}
}

// deafOnce does not answer one question about snapshots.
type deafOnce struct {
	vcenter.VCenter
	deaf atomic.Bool
}

func (d *deafOnce) set() { d.deaf.Store(true) }

func (d *deafOnce) Snapshots(ctx context.Context, vm inventory.Ref) ([]inventory.Snapshot, error) {
	if d.deaf.Swap(false) {
		return nil, cdp.Errorf(cdp.Transient, "list snapshots", "", "no answer")
	}
	return d.VCenter.Snapshots(ctx, vm)
}

// Production's address answers too, and must not be asked.
func TestChecksUseTheAddressTheGuestWasGiven(t *testing.T) {
	w := failover(t, func(j *spec.VMJob) {
		j.Target.ReIP = []inventory.ReIP{{From: "10.0.0.0/24", To: "198.51.100.0/24"}}
		j.Checks = inventory.Checks{Ping: true, Timeout: 300 * time.Millisecond}
	})
	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	for _, x := range []struct {
		ip   string
		good bool
	}{{"10.0.0.5", false}, {"198.51.100.5", true}} {
		w.must(w.b.sim.Tools("web01-replica", true, x.ip))
		w.until("it is at "+x.ip, func() bool {
			v, _ := w.vm(w.b, "web01-replica")
			return len(v.Guest.NICs) > 0 && strings.Contains(fmt.Sprint(v.Guest.NICs[0].IPs), x.ip)
		})
		w.until("the check says so", func() bool {
			c := w.step(api.VMCheck, false).VM.Checks
			if strings.Contains(c[2].Text, "10.0.0.5") {
				t.Fatalf("production's address was asked: %+v", c)
			}
			return len(c) == 3 && c[1].Name == "addresses" && c[1].OK == x.good
		})
	}
}
