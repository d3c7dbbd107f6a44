package vcenter_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/services/vcenter"
)

// hooked replaces Import, and notes power operations.
type hooked struct {
	vcenter.VCenter
	importing func(do func() (inventory.Ref, error)) (inventory.Ref, error)
	power     func(vm inventory.Ref, on bool)
}

func (h *hooked) PowerOn(ctx context.Context, vm inventory.Ref) error {
	h.power(vm, true)
	return h.VCenter.PowerOn(ctx, vm)
}

func (h *hooked) PowerOff(ctx context.Context, vm inventory.Ref) error {
	h.power(vm, false)
	return h.VCenter.PowerOff(ctx, vm)
}

func (h *hooked) Import(ctx context.Context, i inventory.Import, progress func(int)) (inventory.Ref, error) {
	return h.importing(func() (inventory.Ref, error) { return h.VCenter.Import(ctx, i, progress) })
}

// hook lets the site's vCenter do something else at the next import.
func (e *end) hook(f func(do func() (inventory.Ref, error)) (inventory.Ref, error)) *hooked {
	e.stop()
	h := &hooked{VCenter: e.c, power: func(inventory.Ref, bool) {}}
	h.importing = func(do func() (inventory.Ref, error)) (inventory.Ref, error) {
		h.importing = func(do func() (inventory.Ref, error)) (inventory.Ref, error) { return do() }
		return f(do)
	}
	e.vc = h
	e.start()
	return h
}

// Whatever happened to earlier upgrades.
func TestUpgradesKeepJournals(t *testing.T) {
	w, r := transporters(t)
	w.journal(true)
	w.b.progress(api.TransporterDeploy, r)
	before := w.picture(w.b)
	up := r
	up.Upgrade = true
	kept := func(what string) {
		t.Helper()
		if after := w.picture(w.b); after != before {
			t.Fatalf("%s\nbefore:\n%s\nafter:\n%s", what, before, after)
		}
	}
	damaged := filepath.Join(t.TempDir(), "damaged.ova")
	whole, err := os.ReadFile(r.OVA)
	w.must(err)
	w.must(os.WriteFile(damaged, whole[:len(whole)/2], 0o600))
	for what, spoil := range map[string]func(*api.DeployRequest){
		"host":      func(r *api.DeployRequest) { r.Host = "typohost" },
		"datastore": func(r *api.DeployRequest) { r.Datastore = "typostore" },
		"no OVA":    func(r *api.DeployRequest) { r.OVA = "/nowhere.ova" },
		"OVA":       func(r *api.DeployRequest) { r.OVA = damaged },
	} {
		bad := up
		spoil(&bad)
		w.journal(true)
		w.says(w.b.refused(api.TransporterDeploy, bad), cdp.Invalid)
		kept(what)
		w.journal(true, "shop-web01")
		w.says(w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "tp2"}), cdp.Conflict, "shop-web01")
		w.says(w.b.refused(api.TransporterDeploy, up), cdp.Conflict, "upgrade transporter tp2", "shop-web01")
		w.b.progress(api.TransporterDeploy, r) // it is there
		kept(what)
	}
	// It gets a journal while the new one is imported.
	w.journal(true)
	w.b.hook(func(do func() (inventory.Ref, error)) (inventory.Ref, error) {
		w.journal(true, "shop-web01")
		return do()
	})
	w.says(w.b.refused(api.TransporterDeploy, up), cdp.Conflict, "shop-web01")
	kept("a journal meanwhile")
	// An upgrade that was interrupted is no deployment's, and looks again.
	w.journal(true)
	w.b.hook(func(do func() (inventory.Ref, error)) (inventory.Ref, error) {
		_, err := do()
		w.must(err)
		return "", cdp.Errorf(cdp.Transient, "import", "tp2", "the vCenter restarts")
	})
	w.says(w.b.refused(api.TransporterDeploy, up), cdp.Transient)
	w.says(w.b.refused(api.TransporterDeploy, r), cdp.Conflict, "its upgrade has begun", "tidemark transporter upgrade tp2")
	w.journal(true, "shop-web01")
	w.says(w.b.refused(api.TransporterDeploy, up), cdp.Conflict, "shop-web01")
	kept("an interrupted upgrade")
	w.journal(true)
	w.b.progress(api.TransporterDeploy, up)
	if _, there := w.vm(w.b, "tp2-new"); there {
		t.Error("the new one kept its other name")
	}
}

func TestAnUpgradesVMIsNotATransporterOfThatName(t *testing.T) {
	w, r := transporters(t)
	w.journal(true)
	w.mu.Lock()
	w.answers["tp2-new"], w.holds["tp2-new"] = true, []string{"shop-web01"}
	w.mu.Unlock()
	w.b.progress(api.TransporterDeploy, r)
	other := r
	other.Name = "tp2-new"
	w.b.progress(api.TransporterDeploy, other)
	before := w.transporters()
	r.Upgrade = true
	w.says(w.b.refused(api.TransporterDeploy, r), cdp.Conflict, "tp2-new")
	if after := w.transporters(); len(after) != 3 || after[0].VM != before[0].VM || after[1].VM != before[1].VM || after[1].Power != "on" {
		t.Errorf("before: %+v\nafter: %+v", before, after)
	}
}

// On or off, it may keep journals, unless it never answered.
func TestASilentTransporterIsNotRemoved(t *testing.T) {
	w, r := transporters(t)
	remove := api.RemoveRequest{Name: "tp2"}
	w.deploying(r)
	w.b.stop()
	w.b.start()
	w.b.progress(api.TransporterRemove, remove) // it never answered
	if _, there := w.vm(w.b, "tp2"); there {
		t.Fatal("it is still there")
	}
	w.deploying(r)
	w.b.stop()
	w.b.start()
	w.journal(true, "shop-web01") // it answers late, when nothing waits for it
	w.until("it is heard", func() bool { return w.reported("ready") })
	up := r
	up.Upgrade = true
	w.journal(false)
	for _, power := range []inventory.Power{inventory.PoweredOn, inventory.PoweredOff} {
		v, _ := w.vm(w.b, "tp2")
		if power == "off" {
			w.must(w.b.c.PowerOff(w.ctx, v.Ref))
		}
		w.says(w.b.refused(api.TransporterRemove, remove), cdp.Conflict, "not known", "--force", "govc vm.power -on tp2")
		w.says(w.b.refused(api.TransporterDeploy, up), cdp.Conflict, "not known", "govc vm.power -on tp2")
		if now, _ := w.vm(w.b, "tp2"); now.Ref != v.Ref || now.Power != power {
			t.Fatalf("%+v", now)
		}
	}
	v, _ := w.vm(w.b, "tp2")
	w.must(w.b.c.PowerOn(w.ctx, v.Ref))
	w.journal(true)
	w.b.progress(api.TransporterRemove, remove)
}
