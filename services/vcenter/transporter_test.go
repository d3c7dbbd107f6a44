package vcenter_test

import (
	"bytes"
	"strings"
	"testing"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
	"tidemark.dev/pkg/vsphere/vspheretest"
)

// TestTransporter is the life of a transporter.
func TestTransporter(t *testing.T) {
	w := newWorld(t)
	inv := w.inventory(w.b)
	before := w.picture(w.b)
	ova := vspheretest.OVA(t, vspheretest.Appliance(t, bytes.Repeat([]byte("tidemark"), 4*mib/8))...)
	r := api.DeployRequest{Name: "tp2", OVA: ova, Host: inv.Hosts[0].Name, Datastore: inv.Datastores[0].Name,
		Network: inv.Networks[0].Path, Settings: map[string]string{"nats": "nats://10.0.0.1"}}
	set := func(answers bool, holds ...string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answers["tp2"], w.holds["tp2"] = answers, holds
	}
	bad := r
	bad.Host, bad.Network = "nowhere", "nothing"
	if err := w.b.refused(api.TransporterDeploy, bad); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "nothing") {
		t.Error(err)
	}
	foreign := r
	foreign.Name = "transporter"
	if err := w.b.refused(api.TransporterDeploy, foreign); !cdp.Is(err, cdp.Conflict) {
		t.Error("a VM that is not ours:", err)
	}
	p, err := ask[api.Progress](w.ctx, w.b, api.TransporterDeploy, r)
	w.must(err)
	w.until("it is powered on", func() bool {
		p, err = ask[api.Progress](w.ctx, w.b, api.TransporterDeploy, r)
		v, _ := w.vm(w.b, "tp2")
		return err == nil && v.Power == "on" && !p.Done
	})
	w.b.stop() // killed while it waits
	w.b.start()
	set(true)
	w.b.progress(api.TransporterDeploy, r)
	w.b.progress(api.TransporterDeploy, r)
	list := func() []vms.Appliance {
		l, err := ask[api.TransportersReply](w.ctx, w.b, api.TransporterList, api.Empty{})
		w.must(err)
		return l.Transporters
	}
	l := list()
	if len(l) != 2 || l[0].Name != "tp2" || !l[0].Answers || l[0].Power != "on" || l[1].Name != "transporter" {
		t.Fatalf("%+v", l)
	}
	extra, err := w.b.c.Extra(w.ctx, l[0].VM)
	w.must(err)
	if extra["guestinfo.tidemark.nats"] != "nats://10.0.0.1" || extra["disk.EnableUUID"] != "TRUE" {
		t.Error(extra)
	}
	set(true, "shop-web01")
	r.Upgrade = true
	for what, err := range map[string]error{
		"upgrade": w.b.refused(api.TransporterDeploy, r),
		"remove":  w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "tp2"}),
	} {
		if !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "shop-web01") {
			t.Error(what, err)
		}
	}
	set(true)
	w.b.progress(api.TransporterDeploy, r)
	if now := list(); len(now) != 2 || now[0].Name != "tp2" || now[0].VM == l[0].VM {
		t.Errorf("after the upgrade: %+v", now)
	}
	if _, there := w.vm(w.b, "tp2-new"); there {
		t.Error("the new one kept its other name")
	}
	set(true, "shop-web01")
	w.b.progress(api.TransporterRemove, api.RemoveRequest{Name: "tp2", Force: true})
	if err := w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "tp2"}); !cdp.Is(err, cdp.NotFound) {
		t.Error("removed twice:", err)
	}
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	for _, s := range []string{"deploying", "ready", "removed"} {
		if !w.told(s) {
			t.Error("not told:", s)
		}
	}
}
