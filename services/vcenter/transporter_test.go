package vcenter_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// transporters is a world, and what a transporter is deployed of.
func transporters(t *testing.T) (*world, api.DeployRequest) {
	w := newWorld(t)
	inv := w.inventory(w.b)
	ova := vcsim.OVA(t, vcsim.Appliance(t, bytes.Repeat([]byte("tidemark"), 4*mib/8))...)
	return w, api.DeployRequest{Name: "tp2", OVA: ova, Host: inv.Hosts[0].Name, Datastore: inv.Datastores[0].Name,
		Network: inv.Networks[0].Path, Settings: map[string]string{"nats": "nats://10.0.0.1", "password": "hush"}}
}

// journal says what is heard of the transporter tp2.
func (w *world) journal(answers bool, holds ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers["tp2"], w.holds["tp2"] = answers, holds
}

func (w *world) transporters() []inventory.Appliance {
	w.t.Helper()
	l, err := ask[api.TransportersReply](w.ctx, w.b, api.TransporterList, api.Empty{})
	w.must(err)
	return l.Transporters
}

// deploying asks for a transporter until it is on and waited for.
func (w *world) deploying(r api.DeployRequest) {
	w.t.Helper()
	w.until("it is powered on", func() bool {
		p, err := ask[api.Progress](w.ctx, w.b, api.TransporterDeploy, r)
		w.must(err)
		return strings.Contains(p.Text, "waits until its journal")
	})
}

// says: an error is of a kind, and its text and hint have these in them.
func (w *world) says(err error, kind cdp.Kind, texts ...string) {
	w.t.Helper()
	if !cdp.Is(err, kind) {
		w.t.Errorf("not %s: %v", kind, err)
		return
	}
	for _, x := range texts {
		if all := err.Error() + " hint: " + cdp.HintOf(err); !strings.Contains(all, x) {
			w.t.Errorf("%q is not in: %s", x, all)
		}
	}
}

func TestLifeOfATransporter(t *testing.T) {
	w, r := transporters(t)
	before := w.picture(w.b)
	bad := r
	bad.Host, bad.Network = "nowhere", "nothing"
	err := w.b.refused(api.TransporterDeploy, bad)
	w.says(err, cdp.Invalid, "nowhere", "nothing")
	if strings.Count(err.Error(), "deploy transporter tp2") != 1 {
		t.Error(err)
	}
	foreign := r
	foreign.Name = "transporter"
	w.says(w.b.refused(api.TransporterDeploy, foreign), cdp.Conflict, "not deployed by Tidemark", "choose another name")
	w.deploying(r)
	w.b.stop() // killed while it waits
	w.b.start()
	w.journal(true)
	w.b.progress(api.TransporterDeploy, r)
	l := w.transporters()
	if len(l) != 2 || l[0].Name != "tp2" || !l[0].Answers || l[0].Power != "on" || l[1].Name != "transporter" {
		t.Fatalf("%+v", l)
	}
	extra, err := w.b.c.Extra(w.ctx, l[0].VM)
	w.must(err)
	if extra["guestinfo.tidemark.nats"] != "nats://10.0.0.1" || extra["disk.EnableUUID"] != "TRUE" {
		t.Error(extra)
	}
	w.journal(true, "shop-web01")
	r.Upgrade = true
	w.says(w.b.refused(api.TransporterDeploy, r), cdp.Conflict, "shop-web01")
	w.says(w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "tp2"}), cdp.Conflict, "shop-web01")
	w.journal(true)
	w.b.progress(api.TransporterDeploy, r)
	if now := w.transporters(); len(now) != 2 || now[0].Name != "tp2" || now[0].VM == l[0].VM {
		t.Errorf("after the upgrade: %+v", now)
	}
	if _, there := w.vm(w.b, "tp2-new"); there {
		t.Error("the new one kept its other name")
	}
	w.journal(true, "shop-web01")
	w.b.progress(api.TransporterRemove, api.RemoveRequest{Name: "tp2", Force: true})
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	for _, s := range []string{"deploying", "ready", "removed"} {
		if !w.reported(s) {
			t.Error("not reported:", s)
		}
	}
}

// A listed transporter that was not deployed, and one that does not exist, get
// different errors that say what to do.
func TestTransportersThatWereNotDeployed(t *testing.T) {
	w, r := transporters(t)
	r.Upgrade = true
	r.Name = "transporter"
	for _, err := range []error{w.b.refused(api.TransporterDeploy, r), w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "transporter"})} {
		w.says(err, cdp.Conflict, "the VM of that name was not deployed by Tidemark", "the way it was installed")
	}
	own, _ := w.vm(w.b, "transporter")
	w.must(w.b.c.Label(w.ctx, own.Ref, "", "", map[string]string{inventory.MarkTransporter: "transporter"}))
	w.says(w.b.refused(api.TransporterDeploy, r), cdp.Conflict, "this site's services run on it", "cannot replace itself: install")
	w.must(w.b.c.Label(w.ctx, own.Ref, "", "", map[string]string{inventory.MarkTransporter: "transporter", inventory.MarkData: own.Hardware.Address(own.Hardware.Disks[0])}))
	w.says(w.b.refused(api.TransporterDeploy, r), cdp.Conflict, "this site's services run on it", "cannot replace itself: shut it down, and give its data disk")
	w.says(w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "transporter"}), cdp.Conflict, "this site's services run on it", "--force")
	r.Name = "tp9"
	for _, err := range []error{w.b.refused(api.TransporterDeploy, r), w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "tp9"})} {
		w.says(err, cdp.NotFound, "there is no transporter of that name", "tidemark transporter list")
	}
	if w.reported("failed") {
		t.Error("an event reports what never happened")
	}
}

func TestDeployIsIdempotentForTheSameSettings(t *testing.T) {
	w, r := transporters(t)
	w.journal(true)
	w.b.progress(api.TransporterDeploy, r)
	before := w.picture(w.b)
	data, err := os.ReadFile(r.OVA)
	w.must(err)
	moved, other := filepath.Join(t.TempDir(), "moved.ova"), filepath.Join(t.TempDir(), "other.ova")
	w.must(os.WriteFile(moved, data, 0o600))
	w.must(os.WriteFile(other, append(data, make([]byte, 1024)...), 0o600))
	again := r
	again.OVA = moved
	w.b.progress(api.TransporterDeploy, r)
	w.b.progress(api.TransporterDeploy, again)
	inv := w.inventory(w.b)
	with := func(settings ...string) func(*api.DeployRequest) {
		return func(r *api.DeployRequest) {
			r.Settings = map[string]string{}
			for _, kv := range settings {
				k, v, _ := strings.Cut(kv, "=")
				r.Settings[k] = v
			}
		}
	}
	for what, change := range map[string]func(*api.DeployRequest){
		"the OVA":                              func(r *api.DeployRequest) { r.OVA = other },
		"the host (" + r.Host + ")":            func(r *api.DeployRequest) { r.Host = inv.Hosts[1].Name },
		"the datastore (" + r.Datastore + ")":  func(r *api.DeployRequest) { r.Datastore = "nonsense" },
		"the network (" + r.Network + ")":      func(r *api.DeployRequest) { r.Network = inv.Networks[1].Path },
		"the folder (none was given)":          func(r *api.DeployRequest) { r.Folder = "prod" },
		"the setting password":                 with("nats=nats://10.0.0.1", "password=hash"),
		"the setting nats":                     with("password=hush"),
		"the setting another":                  with("nats=nats://10.0.0.1", "password=hush", "another=1"),
		"the setting nats, the setting passwd": with("password=hush", "nats=x", "passwd=y"),
	} {
		x := r
		change(&x)
		err := w.b.refused(api.TransporterDeploy, x)
		w.says(err, cdp.Conflict, "which differs in "+what+" hint: replace it: tidemark transporter upgrade tp2")
	}
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	v, _ := w.vm(w.b, "tp2")
	told, err := json.Marshal(v)
	w.must(err)
	if strings.Contains(string(told), "hush") || !strings.Contains(string(told), inventory.MarkRecipe) {
		t.Error("its description:", string(told))
	}
	// An upgrade recreates one that never answered with other settings.
	w.b.progress(api.TransporterRemove, api.RemoveRequest{Name: "tp2"})
	w.journal(false)
	w.deploying(r)
	w.b.stop()
	w.b.start()
	x := r
	x.Settings = nil
	w.says(w.b.refused(api.TransporterDeploy, x), cdp.Conflict, "the setting nats, the setting password")
	x.Upgrade = true
	w.deploying(x)
	w.journal(true)
	w.b.progress(api.TransporterDeploy, x)
	x.Upgrade = false
	w.b.progress(api.TransporterDeploy, x)
}

// A deployment fails, an upgrade is rolled back, and a forced removal waits for neither.
func TestATransporterThatNeverAnswers(t *testing.T) {
	w, r := transporters(t)
	before := w.picture(w.b)
	// Another command waits for the deployment.
	w.deploying(r)
	asked := make(chan error)
	go func() { asked <- w.b.refused(api.TransporterDeploy, r) }()
	w.b.progress(api.TransporterRemove, api.RemoveRequest{Name: "tp2", Force: true})
	w.says(<-asked, cdp.Conflict, "removed by force")
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	w.b.stop()
	w.b.answerWait = 100 * time.Millisecond
	w.b.start()
	w.says(w.b.refused(api.TransporterDeploy, r), cdp.Transient, "was not heard", "look at its console")
	if !w.reported("was not heard") || !w.reported("State:failed") {
		t.Error("the failure was not reported")
	}
	w.journal(true)
	w.b.progress(api.TransporterDeploy, r)
	old := w.transporters()
	w.mu.Lock()
	w.events = nil
	w.mu.Unlock()
	up := r
	up.Upgrade = true
	w.b.hook(func(do func() (inventory.Ref, error)) (inventory.Ref, error) { return do() }).power = func(vm inventory.Ref, on bool) {
		if vm == old[0].VM {
			w.journal(on)
		}
	}
	w.says(w.b.refused(api.TransporterDeploy, up), cdp.Transient, "was not heard", "the old one runs again")
	if !w.reported("State:failed") {
		t.Error("the failure was not reported")
	}
	if now := w.transporters(); len(now) != 2 || now[0].VM != old[0].VM || now[0].Power != "on" || !now[0].Answers {
		t.Errorf("%+v", now)
	}
	w.journal(true, "shop-web01")
	w.says(w.b.refused(api.TransporterDeploy, up), cdp.Conflict, "shop-web01")
}

// Wherever it is killed, the upgrade moves what the transporter keeps.
func TestAnInterruptedDeploymentContinues(t *testing.T) {
	w, r := ownTransporters(t)
	w.journal(true)
	up := r
	up.Upgrade = true
	up.Settings = map[string]string{"nats": "nats://10.0.0.2"}
	w.b.killing(func(f *faulty, retry func(func() error)) string {
		for _, x := range []api.DeployRequest{r, up} {
			retry(func() error { return w.b.refused(api.TransporterDeploy, x) })
			if !x.Upgrade {
				w.keep("the journals")
			}
		}
		f.calm()
		if _, content := w.dataFile("tp2"); content != "the journals" {
			t.Errorf("its data disk has %q", content)
		}
		got := w.picture(w.b)
		recs, err := w.b.recs.List(w.ctx, "")
		w.must(err)
		for _, x := range recs { // by key
			got += x.Key + "\n"
		}
		w.b.progress(api.TransporterRemove, api.RemoveRequest{Name: "tp2"})
		return got
	}, func() int { return 1 })
}
