package vcenter_test

import (
	"slices"
	"testing"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// The host of the replica VM is down when it is needed: the failover starts the VM on
// another one. The VM that was there is removed once its host is back.
func TestAReplicaOnALostHostStartsOnAnother(t *testing.T) {
	w := failover(t, nil)
	old, _ := w.vm(w.b, "web01-replica")
	inv := w.inventory(w.b)
	host := inv.Hosts[slices.IndexFunc(inv.Hosts, func(h inventory.Host) bool { return h.Ref == old.Host })].Name
	if v, _ := w.vm(w.b, "transporter"); v.Host == old.Host {
		t.Fatal("the replica is placed beside the transporter: this shows nothing")
	}
	w.must(w.b.sim.FailHost(host))
	f := w.lying()
	f.deceive("MakeVM")
	w.insist(api.VMAttach, false)
	w.insist(api.VMBoot, false)
	v, there := w.vm(w.b, "web01-replica-2")
	if !there || v.Host == old.Host || v.Power != inventory.PoweredOn || len(v.Hardware.Disks) != 2 {
		t.Fatalf("%v %+v", there, v)
	}
	if !w.reported(host) {
		t.Error("nobody was told about the host")
	}
	w.must(w.b.sim.HealHost(host))
	w.step(api.VMReturn, false)
	w.until("the VM on the lost host is removed", func() bool { _, there := w.vm(w.b, "web01-replica"); return !there })
	if v, there := w.vm(w.b, "web01-replica-2"); !there || v.Power != inventory.PoweredOff {
		t.Errorf("%v %+v", there, v)
	}
}
