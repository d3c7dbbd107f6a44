package vcenter_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// Disks are frozen and read at the transporter, also after a crash. After thawing
// nothing is left, and no foreign snapshot is touched.
func TestAPassFreezesAndThaws(t *testing.T) {
	w := newWorld(t)
	x := web("web01")
	x.CBT = true // the operator's snapshot is not from before tracking
	src, err := w.a.sim.AddVM(x)
	w.must(err)
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	_, err = w.a.c.Snapshot(w.ctx, v.Ref, "tidemark-by-hand", "an operator's", false)
	w.must(err)
	before := w.picture(w.a)
	keys := []int32{v.Hardware.Disks[0].Key, v.Hardware.Disks[1].Key}
	old, later := bytes.Repeat([]byte{7}, 4096), bytes.Repeat([]byte{8}, 4096)
	w.must(w.a.sim.GuestWrite("web01", keys[0], 65536, old))
	freeze := func(pass string) api.FreezeReply {
		return done(t, w.a, api.VMFreeze, api.FreezeRequest{Group: "shop-web01", VM: src.UUID, Keys: keys, Pass: pass}, func(r api.FreezeReply) bool { return r.Done })
	}
	began := time.Now()
	f := freeze("1")
	if len(f.Disks) != 2 || f.Disks[0].ChangeID == "" || f.At.Before(began) || f.At.After(time.Now()) {
		t.Fatalf("%+v", f)
	}
	w.must(w.a.sim.GuestWrite("web01", keys[0], 65536, later))
	read := func(path string, off int64) []byte {
		b, err := os.Open(path)
		w.must(err)
		defer b.Close()
		p := make([]byte, 4096)
		_, err = b.ReadAt(p, off)
		w.must(err)
		return p
	}
	if !bytes.Equal(read(f.Disks[0].Path, 65536), old) {
		t.Error("the frozen disk moved on")
	}
	w.a.stop()
	w.a.start()
	if again := freeze("1"); again.At != f.At || again.Disks[0] != f.Disks[0] {
		t.Errorf("after a restart: %+v, before: %+v", again, f)
	}
	g := freeze("2") // the first one goes
	if !bytes.Equal(read(g.Disks[0].Path, 65536), later) {
		t.Error("the second pass has old content")
	}
	ch, err := ask[api.ChangedReply](w.ctx, w.a, api.VMChanged, api.ChangedRequest{Group: "shop-web01", VM: src.UUID, Pass: "2", Key: keys[0], Since: f.Disks[0].ChangeID})
	w.must(err)
	if len(ch.Areas) != 1 || ch.Areas[0].Off > 65536 || ch.Areas[0].Off+ch.Areas[0].N < 65536+4096 || ch.Next != 0 {
		t.Errorf("%+v", ch)
	}
	if _, err := ask[api.ChangedReply](w.ctx, w.a, api.VMChanged, api.ChangedRequest{Group: "shop-web01", VM: src.UUID, Pass: "1", Key: keys[0], Since: "*"}); !cdp.Is(err, cdp.NotFound) {
		t.Error("changes of a pass that is gone:", err)
	}
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: src.UUID, Keep: "2"})
	if now, err := w.a.c.VM(w.ctx, src.UUID); err != nil || len(now.Snapshots) != 2 {
		t.Error("what was to be kept:", now.Snapshots, err)
	}
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: src.UUID})
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: src.UUID})
	if after := w.picture(w.a); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if left, _ := os.ReadDir(filepath.Join(w.a.sim.Config().Devices, "transporter")); len(left) != 1 {
		t.Error("devices:", left)
	}
}

// Also if the VM is unknown or deleted. They do not get in the way of another job on
// the VM, and passes of existing jobs stay.
func TestThawRemovesPassesOfDeletedJobs(t *testing.T) {
	w := newWorld(t)
	empty := w.picture(w.a)
	src, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	before := w.picture(w.a)
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	keys := []int32{v.Hardware.Disks[0].Key, v.Hardware.Disks[1].Key}
	freeze := func(g cdp.GroupID) api.FreezeReply {
		t.Helper()
		return done(t, w.a, api.VMFreeze, api.FreezeRequest{Group: g, VM: src.UUID, Keys: keys, Pass: "1"}, func(r api.FreezeReply) bool { return r.Done })
	}
	same := func(what, want string) {
		t.Helper()
		if got := w.picture(w.a); got != want {
			t.Errorf("%s: before:\n%s\nafter:\n%s", what, want, got)
		}
	}
	// A disk that the VM does not have any more: its production disks get no
	// snapshot that is of no use.
	for {
		r, err := ask[api.FreezeReply](w.ctx, w.a, api.VMFreeze, api.FreezeRequest{Group: "shop-web01", VM: src.UUID, Keys: []int32{keys[0], 2099}, Pass: "1"})
		if err != nil || r.Done {
			if !cdp.Is(err, cdp.Conflict) {
				t.Error("a disk that is not there:", err)
			}
			break
		}
	}
	same("a disk that is not there", before)

	freeze("shop-web01")
	freeze("new-web01") // another job on the VM; the first one's snapshots are still there
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "new-web01", VM: src.UUID})
	same("another job", before)

	freeze("shop-web01")
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01"})
	same("its VM is not known", before)

	w.mu.Lock()
	w.groups["shop-web01"] = spec.ReplicationJob{Name: "shop-web01"}
	w.mu.Unlock()
	freeze("shop-web01")
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "new-web01", VM: src.UUID})
	if now, err := w.a.c.VM(w.ctx, src.UUID); err != nil || len(now.Snapshots) != 1 {
		t.Error("a pass of a job that is there:", now.Snapshots, err)
	}
	w.must(w.a.c.PowerOff(w.ctx, v.Ref))
	w.must(w.a.c.Destroy(w.ctx, v.Ref, true))
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: src.UUID})
	same("its VM is gone", empty)
}

func TestQueriesAboutASite(t *testing.T) {
	w := newWorld(t)
	for _, n := range []string{"web01", "web02"} {
		_, err := w.a.sim.AddVM(web(n))
		w.must(err)
	}
	inv, err := ask[inventory.Inventory](w.ctx, w.a, api.VCenterInventory, api.InventoryRequest{Fresh: true})
	w.must(err)
	if inv.Site != "a" || len(inv.VMs) > 0 || len(inv.Hosts) != 2 {
		t.Errorf("%+v", inv)
	}
	all, err := ask[api.VMsReply](w.ctx, w.a, api.VCenterVMs, api.VMsRequest{})
	w.must(err)
	rest, err := ask[api.VMsReply](w.ctx, w.a, api.VCenterVMs, api.VMsRequest{After: all.VMs[0].Path})
	w.must(err)
	if len(all.VMs) < 3 || len(rest.VMs) != len(all.VMs)-1 || rest.VMs[0].Path != all.VMs[1].Path {
		t.Error(len(all.VMs), len(rest.VMs))
	}
	m, err := ask[api.MembersReply](w.ctx, w.a, api.VCenterMembers, api.MembersRequest{VMs: []inventory.Selector{{Folder: "vm"}}})
	w.must(err)
	if len(m.VMs) != 2 || len(m.Hosts) == 0 || len(m.Problems) > 0 {
		t.Errorf("%+v", m)
	}
	check, err := ask[api.SiteCheck](w.ctx, w.a, api.VCenterCheck, api.CheckRequest{})
	w.must(err)
	if check.Transporter == nil || check.Transporter.Name != "transporter" || len(check.Problems) > 0 || len(check.Lacks) > 0 {
		t.Errorf("%+v", check)
	}
	clocks, err := ask[api.ClocksReply](w.ctx, w.a, api.VCenterClocks, api.Empty{})
	w.must(err)
	if len(clocks.Hosts) != 2 {
		t.Errorf("%+v", clocks)
	}
	if _, err := ask[api.Empty](w.ctx, w.a, api.VCenterMembers, map[string]any{"vm": 1}); !cdp.Is(err, cdp.Invalid) {
		t.Error("an unknown field:", err)
	}
	_, err = w.a.sim.AddVM(vcsim.VMSpec{Name: "transporter", Folder: "twin"})
	w.must(err)
	w.until("two VMs of its name are reported", func() bool {
		check, err := ask[api.SiteCheck](w.ctx, w.a, api.VCenterCheck, api.CheckRequest{})
		return err == nil && check.Transporter == nil && strings.Contains(strings.Join(check.Problems, ""), "give the path")
	})
}
