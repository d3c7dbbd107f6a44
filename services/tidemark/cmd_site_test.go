package main

import (
	"testing"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// TestSites: sites are described, listed with what their vCenters say, and checked
// for what they are used for.
func TestSites(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	d.apply(0, twoSites)
	f := d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VCenterCheck: says(api.SiteCheck{About: aboutVC(), Transporter: &inventory.Appliance{Name: "tm-dr", Host: "esx11", Power: "on"}}),
	})
	out, _ := d.do(0, "events", "site")
	wants(t, out, "site.applied", "dr", "prod")
	out, _ = d.do(0, "site", "list") // works with the source dead
	wants(t, out, "https://vc.prod", "nobody answers at site prod", "VMware vCenter Server 8.0.3", "good")
	out, _ = d.do(0, "site", "check", "dr")
	wants(t, out, "complete", "tm-dr on esx11, power on")
	out, errs := d.do(exitUnreachable, "site", "check")
	wants(t, out, "complete", "not checked")
	wants(t, errs, "vcenter is not running at site prod")
	f.set(api.VCenterCheck, says(api.SiteCheck{About: aboutVC(), Lacks: []inventory.Missing{{Privilege: "Datastore.Browse", Purpose: "find disk files"}}, Problems: []string{"the VM tm-dr was not found"}}))
	out, errs = d.do(exitConflict, "site", "check", "dr")
	wants(t, out, "1 privilege missing", "Datastore.Browse", "root folder", "find disk files", "problem      the VM tm-dr was not found")
	wants(t, errs, "2 things missing or wrong", "tidemark site privileges")
	out, _ = d.do(exitConflict, "site", "check", "dr", "-o", "json")
	if got := decode[[]siteState](t, out); len(got) != 1 || got[0].Check.Lacks[0].Privilege != "Datastore.Browse" {
		t.Error(out)
	}
	// What the site is used for is needed; the rest is not, yet.
	later := []inventory.Missing{{Privilege: "VApp.Import", Purpose: "upload", Roles: []inventory.Role{inventory.ForAppliance}}}
	f.set(api.VCenterCheck, says(api.SiteCheck{About: aboutVC(), Later: later}))
	f.saw()
	out, _ = d.do(0, "site", "check", "dr")
	wants(t, out, "complete (used by no job yet)", "1 privilege missing that only other uses need", "VApp.Import", "transporter")
	wants(t, f.saw(), `{"for":["every"]}`)
	d.do(0, "site", "check", "dr", "--for", "target,transporter")
	wants(t, f.saw(), `{"for":["every","target","transporter"]}`)
	d.do(exitUsage, "site", "check", "dr", "--for", "king")
	objects, err := spec.Parse("job-vms.yaml", []byte(example(t, "job-vms.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	job := *objects[0].VMJob
	job.Source.Capture = "tap"
	b, err := bus.OpenBucket[spec.VMJob](t.Context(), d.conn, "dr", subjects.BucketSpec, subjects.KeyVMJob)
	if err == nil {
		_, err = b.Put(t.Context(), "shop", job)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, _ = d.do(0, "site", "check", "dr")
	wants(t, out, "complete (for target)")
	wants(t, f.saw(), `{"for":["every","target"]}`)
	p := d.serve("prod", subjects.VCenter, map[string]func([]byte) (any, error){api.VCenterCheck: says(api.SiteCheck{About: aboutVC()})})
	d.do(0, "site", "check", "prod")
	wants(t, p.saw(), `{"for":["every","source","iofilter"]}`)

	f.set(api.VCenterCheck, fails(cdp.Errorf(cdp.Invalid, "log in", "https://vc.dr", "the user name or the password is wrong").WithHint("look at /etc/vc.yaml")))
	_, errs = d.do(exitUsage, "site", "check", "dr")
	wants(t, errs, "password is wrong", "hint: look at /etc/vc.yaml")
	d.do(exitNotFound, "site", "check", "moon")

	out, _ = d.do(0, "site", "privileges", "--role", "source")
	wants(t, out, "VirtualMachine.State.CreateSnapshot", "every", "WHAT FOR")
	lacks(t, out, "Host.Config.Patch")
	d.do(exitUsage, "site", "privileges", "--role", "king")
}
