package vcenter_test

import (
	"bytes"
	"os"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// ownTransporters is a world with an OVA such as Tidemark's own.
func ownTransporters(t *testing.T) (*world, api.DeployRequest) {
	w, r := transporters(t)
	r.OVA = vcsim.OVA(t, vcsim.WithDataDisk(vcsim.Appliance(t, bytes.Repeat([]byte("tidemark"), 4*mib/8)), 8*mib)...)
	return w, r
}

// dataFile is the file of a transporter's data disk, by the VM's name, and its content's
// beginning.
func (w *world) dataFile(name string) (file string, content string) {
	w.t.Helper()
	v, err := w.b.sim.VM(name)
	w.must(err)
	for _, d := range v.Disks {
		if d.Size == 8*mib {
			b, err := os.ReadFile(d.Flat)
			w.must(err)
			return d.File, string(bytes.TrimRight(b[:64], "\x00"))
		}
	}
	w.t.Fatalf("%s has no data disk: %+v", name, v.Disks)
	return "", ""
}

// keep has the transporter tp2 write something to its data disk.
func (w *world) keep(what string) {
	w.t.Helper()
	v, err := w.b.sim.VM("tp2")
	w.must(err)
	w.must(os.WriteFile(v.Disks[1].Flat, append([]byte(what), make([]byte, 8*mib-len(what))...), 0o600))
}

// The journals of an appliance of Tidemark's own move to the new VM. If that one never
// answers, the old one has them again; and the VM that has them is removed only with them.
func TestAnUpgradeOfTheOwnApplianceKeepsItsJournals(t *testing.T) {
	w, r := ownTransporters(t)
	before := w.picture(w.b)
	w.journal(true)
	w.b.progress(api.TransporterDeploy, r)
	w.keep("the journals")
	w.journal(true, "shop-web01")
	up := r
	up.Upgrade = true
	// It never answers.
	w.b.stop()
	w.b.answerWait = 1
	w.b.start()
	old := w.transporters()[0]
	h := w.b.hook(func(do func() (inventory.Ref, error)) (inventory.Ref, error) { return do() })
	h.power = func(vm inventory.Ref, on bool) {
		if vm == old.VM {
			w.journal(on, "shop-web01")
		}
	}
	w.says(w.b.refused(api.TransporterDeploy, up), cdp.Transient, "the old one runs again")
	file, content := w.dataFile("tp2")
	if now := w.transporters(); content != "the journals" || now[0].VM != old.VM || now[0].Power != "on" {
		t.Errorf("%q in %s at %+v", content, file, now)
	}
	if _, there := w.vm(w.b, "tp2-new"); there {
		t.Error("the new one is left")
	}
	w.b.stop()
	w.b.answerWait = 0
	h.power = func(inventory.Ref, bool) {}
	w.b.start()
	w.journal(true, "shop-web01")
	// An OVA that has no data disk cannot take them.
	other := vcsim.OVA(t, vcsim.Appliance(t, bytes.Repeat([]byte("tidemark"), 4*mib/8))...)
	foreign := up
	foreign.OVA = other
	w.says(w.b.refused(api.TransporterDeploy, foreign), cdp.Conflict, "shop-web01")
	if f, content := w.dataFile("tp2"); f != file || content != "the journals" {
		t.Errorf("after a refused upgrade: %q in %s", content, f)
	}
	up.Settings = map[string]string{"nats": "nats://10.0.0.2"}
	w.b.progress(api.TransporterDeploy, up)
	if f, content := w.dataFile("tp2"); f != file || content != "the journals" {
		t.Errorf("%q in %s, not in %s", content, f, file)
	}
	if now := w.transporters(); now[0].VM == old.VM || len(now) != 2 {
		t.Errorf("after the upgrade: %+v", now)
	}
	w.says(w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "tp2"}), cdp.Conflict, "shop-web01")
	w.b.progress(api.TransporterRemove, api.RemoveRequest{Name: "tp2", Force: true})
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
