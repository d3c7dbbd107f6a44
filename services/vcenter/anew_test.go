package vcenter_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// anew asks the site a for the job that leads back from the failover of web01 to a new VM.
func (h *homeward) anew(place inventory.JobTarget) api.VMReverseReply {
	h.t.Helper()
	out, err := ask[api.VMReverseReply](h.ctx, h.a, api.VMJobReverse, api.VMReverseRequest{Name: "back", Of: h.group("shop-web01"), VM: h.replica.UUID, Site: "a", Place: &place,
		Reverses: spec.Reverses{Site: "b", Job: "shop-web01", Run: "r", Round: 1}})
	h.must(err)
	return out
}

// A VM whose old home is not wanted, or gone, is brought to a new VM with new disks, and
// where a file holds a copy of a disk, to that. The old VM stays as it is, and off.
func TestAVMIsBroughtToANewVM(t *testing.T) {
	h := newHomeward(t)
	h.fence(1)
	h.must(h.a.sim.GuestWrite("web01", h.web01.Hardware.Disks[0].Key, 1000, []byte("as it was")))
	inv := h.inventory(h.a)
	if got := texts(h.anew(inventory.JobTarget{Cluster: inv.Clusters[0].Name, Datastore: "none"}).Problems); !strings.Contains(got, `"none"`) {
		t.Error(got)
	}
	if got := texts(h.anew(inventory.JobTarget{Cluster: inv.Clusters[0].Name, Datastore: inv.Datastores[0].Name,
		Seeds: []inventory.Seed{{DiskRef: inventory.DiskRef{Disk: "scsi0:0"}, File: h.web01.Hardware.Disks[0].File}}}).Problems); !strings.Contains(got, "web01") {
		t.Error("a disk of the old VM is taken from it:", got)
	}
	x := h.anew(inventory.JobTarget{Cluster: inv.Clusters[0].Name, Datastore: inv.Datastores[0].Name})
	if len(x.Problems) > 0 || len(x.Overwrites) > 0 || x.Copies != 6*mib || len(x.Job.Job.Target.Networks) != 1 || x.Job.Job.Target.Networks[0].To == "" {
		t.Fatalf("%+v", x)
	}
	g := h.ready(h.a, x.Job)
	if g.Adopts() || g.Target.VM != "web01-replica-home" || !g.Retires("b", "shop-web01", 0) || g.Source.VM != h.replica.UUID {
		t.Errorf("%+v", g)
	}
	put(t, g.Target.Disks[0].Path, 1000, "from site b")
	h.must(h.b.c.PowerOff(h.ctx, h.replica.Ref))
	h.moved(h.a, g.Name)
	v, ok := h.vm(h.a, "web01-replica-home")
	if !ok || v.Power != inventory.PoweredOn || v.Ours() || len(v.Hardware.Disks) != 2 || v.Hardware.Disks[0].UUID == h.web01.Hardware.Disks[0].UUID {
		t.Errorf("%+v", v)
	}
	old, ok := h.vm(h.a, "web01")
	if p := h.fence(2); !ok || old.Power != inventory.PoweredOff || len(old.Hardware.Disks) != 2 || strings.Contains(p.Text, "leads back") {
		t.Errorf("the old VM: %+v, %q", old, p.Text)
	}
	if err := h.a.c.PowerOn(h.ctx, old.Ref); !cdp.Is(err, cdp.Conflict) {
		t.Error("the old VM can be powered on beside the new one:", err)
	}
}

// Where the old VM is gone, its vCenter says what to do; a file that is left of its disk
// takes the place of a copy.
func TestTheOldVMIsGone(t *testing.T) {
	h := newHomeward(t)
	h.fence(1)
	h.must(h.a.sim.GuestWrite("web01", h.web01.Hardware.Disks[0].Key, 1000, []byte("as it was")))
	left := h.web01.Hardware.Disks[0].File
	h.must(h.a.c.Unplug(h.ctx, h.web01.Ref, []string{left}))
	h.must(h.a.c.Destroy(h.ctx, h.web01.Ref, true))
	g := h.group("shop-web01")
	_, err := ask[api.VMReverseReply](h.ctx, h.a, api.VMJobReverse, api.VMReverseRequest{Name: "back", Of: g, VM: h.replica.UUID, Reverses: spec.Reverses{Site: "b", Job: "shop-web01", Run: "r", Round: 1, OldDisks: true, VM: h.web01.UUID}})
	if !cdp.Is(err, cdp.NotFound) || !strings.Contains(cdp.HintOf(err), "--datastore") {
		t.Error(err)
	}
	inv := h.inventory(h.a)
	x := h.anew(inventory.JobTarget{Host: inv.Hosts[0].Path, Datastore: inv.Datastores[0].Name, Suffix: "-2",
		Seeds: []inventory.Seed{{DiskRef: inventory.DiskRef{Disk: "scsi0:0"}, File: left}}})
	if len(x.Problems) > 0 || len(x.Overwrites) != 1 || x.Overwrites[0].Size != 4*mib || x.Copies != 2*mib {
		t.Fatalf("%+v", x)
	}
	back := h.ready(h.a, x.Job)
	if got := get(t, back.Target.Disks[0].Path, 1000, 9); !back.Adopts() || got != "as it was" {
		t.Errorf("%+v %q", back, got)
	}
}
