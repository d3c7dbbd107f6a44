package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

const twoSites = `apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: prod}
spec: {kind: vsphere, vsphere: {url: "https://vc.prod", credentials: /etc/vc.yaml, transporter: tm-prod}}
---
apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: dr}
spec: {kind: vsphere, vsphere: {url: "https://vc.dr", credentials: /etc/vc.yaml, transporter: tm-dr}}
`

func aboutVC() inventory.About {
	return inventory.About{Name: "VMware vCenter Server", Version: "8.0.3"}
}

func TestSites(t *testing.T) {
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
	wants(t, out, "all are there", "tm-dr on esx11, power on")
	out, errs := d.do(exitUnreachable, "site", "check")
	wants(t, out, "all are there", "not checked")
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
	wants(t, out, "all are there (used by no job yet)", "1 privilege missing that only other uses need", "VApp.Import", "transporter")
	wants(t, f.saw(), `{"for":["every"]}`)
	d.do(0, "site", "check", "dr", "--for", "target,transporter")
	wants(t, f.saw(), `{"for":["every","target","transporter"]}`)
	d.do(exitUsage, "site", "check", "dr", "--for", "king")
	b, err := bus.OpenBucket[spec.VMJob](t.Context(), d.conn, "dr", subjects.BucketSpec, subjects.KeyVMJob)
	if err == nil {
		_, err = b.Put(t.Context(), "shop", spec.VMJob{Job: inventory.Job{Name: "shop", Source: inventory.JobSource{Capture: "tap"}}, SourceSite: "prod", TargetSite: "dr"})
	}
	if err != nil {
		t.Fatal(err)
	}
	out, _ = d.do(0, "site", "check", "dr")
	wants(t, out, "all are there (for target)")
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

func TestInventory(t *testing.T) {
	d := newDesk(t)
	d.apply(0, twoSites)
	place := func(ref, name string) inventory.Place {
		return inventory.Place{Ref: inventory.Ref(ref), Name: name, Path: "/DC1/" + name}
	}
	many := make([]inventory.VM, 250)
	for i := range many {
		many[i] = inventory.VM{Place: inventory.Place{Name: fmt.Sprintf("vm%03d", i), Path: fmt.Sprintf("/DC1/vm/Prod/vm%03d", i)}, Power: "on", Host: "h1", Tags: []string{"tier/gold"},
			Hardware: inventory.Hardware{CPUs: 2, MemoryMB: 4096, Controllers: []inventory.Controller{{Key: 1000, Kind: "pvscsi"}},
				Disks: []inventory.Disk{{Key: 2000, Controller: 1000, Unit: 0, Size: 40 << 30, File: "[ds1] a/a.vmdk"}, {Key: 2001, Controller: 1000, Unit: 1, Size: 1 << 40, File: "[ds1] a/b.vmdk"}}}}
	}
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VCenterInventory: says(inventory.Inventory{Site: "dr", About: aboutVC(), Datacenters: []inventory.Place{place("d1", "DC1")},
			Clusters:   []inventory.Cluster{{Place: place("c1", "Cluster-1"), Hosts: []inventory.Ref{"h1"}, ImageManaged: true}},
			Hosts:      []inventory.Host{{Place: place("h1", "esx11"), Cluster: "c1", State: "connected", Maintenance: true, Version: "8.0.3", Newest: "vmx-21"}},
			Datastores: []inventory.Datastore{{Place: place("s1", "ds1"), Kind: "VMFS", Capacity: 2 << 40, Free: 1 << 40, Accessible: true}, {Place: place("s2", "ds2"), Kind: "NFS"}},
			Networks:   []inventory.Network{{Place: place("n1", "DR Network"), Kind: "distributed"}}}),
		api.VCenterVMs: func(req []byte) (any, error) {
			var r api.VMsRequest
			if len(req) > 0 {
				if err := json.Unmarshal(req, &r); err != nil {
					return nil, err
				}
			}
			from := 0
			if r.After != "" {
				from = 1 + slices.IndexFunc(many, func(v inventory.VM) bool { return v.Path == r.After })
			}
			if from%api.VMsPage != 0 || r.Fresh != (from == 0) {
				return nil, cdp.Errorf(cdp.Invalid, "page", r.After, "nobody asks this: %+v", r)
			}
			to := min(from+api.VMsPage, len(many))
			return api.VMsReply{VMs: many[from:to], More: to < len(many)}, nil
		},
	})
	out, errs := d.do(0, "inventory") // the source is dead
	wants(t, errs, "site prod:", "nobody answers")
	wants(t, out, "site dr: VMware vCenter Server 8.0.3", "by image (vLCM)", "connected, maintenance", "vmx-21", "1.0 TiB", "2.0 TiB", "not accessible", "distributed",
		"vm000", "vm249", "scsi0:0", "40 GiB", "scsi0:1", "tier/gold", "/DC1/vm/Prod", "4.0 GiB")
	out, _ = d.do(0, "inventory", "dr", "--kind", "datastores")
	wants(t, out, "ds1")
	lacks(t, out, "vm000", "esx11")
	out, _ = d.do(0, "inventory", "dr", "--kind", "vms")
	wants(t, out, "esx11") // the host's name
	out, _ = d.do(0, "inventory", "-o", "json")
	if got := decode[[]siteInventory](t, out); len(got) != 2 || len(got[0].VMs) != 250 || got[1].Error == "" {
		t.Error(len(got), len(out))
	}
	d.do(0, "inventory", "dr", "-o", "yaml")
	d.do(exitUnreachable, "inventory", "prod")
	d.do(exitNotFound, "inventory", "moon")
	d.do(exitUsage, "inventory", "--kind", "cats")
}

func TestTransporters(t *testing.T) {
	d := newDesk(t)
	d.apply(0, twoSites)
	f := d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){
		api.TransporterDeploy: working(api.Progress{Text: "uploading", Moved: 1, Total: 4}, api.Progress{Text: "uploading", Moved: 4, Total: 4}, api.Progress{Text: "waiting for its journal"}, api.Progress{Done: true}),
		api.TransporterList:   says(api.TransportersReply{Transporters: []inventory.Appliance{{Name: "tm-dr", Host: "esx11", Power: "on", Answers: true, Holds: []string{"shop-web01", "web"}}}}),
		api.TransporterRemove: fails(cdp.Errorf(cdp.Conflict, "remove transporter", "tm-dr", "it holds the journals of shop-web01, web").WithHint("their recovery points would be gone; if that is meant: --force")),
	})
	secret := write(t, filepath.Join(t.TempDir(), "creds"), "hush")
	args := strings.Fields("transporter deploy --site dr --name tm-dr --ova /srv/t.ova --host esx11 --datastore ds1 --network Mgmt --set nats=nats://x:1 --set a.b=c=d --set-file creds=" + secret)
	out, errs := d.do(0, args...)
	wants(t, out, "tm-dr deployed at site dr")
	wants(t, errs, "tm-dr: uploading", "20%", "100%", "waiting for its journal")
	wants(t, f.saw(), `"settings":{"a.b":"c=d","creds":"hush","nats":"nats://x:1"}`, `"ova":"/srv/t.ova"`)
	f.set(api.TransporterDeploy, working(api.Progress{Done: true}))
	out, _ = d.do(0, "transporter", "upgrade", "tm-dr", "--ova", "/srv/t2.ova", "--host", "esx11", "--datastore", "ds1", "--network", "Mgmt")
	wants(t, out, "tm-dr upgraded")
	wants(t, f.saw(), `"upgrade":true`)
	out, errs = d.do(0, "transporter", "list") // the source is dead
	wants(t, out, "tm-dr", "yes", "shop-web01 web")
	wants(t, errs, "site prod:")
	d.do(exitUnreachable, "transporter", "list", "--site", "prod")
	_, errs = d.do(exitConflict, "transporter", "remove", "tm-dr")
	wants(t, errs, "holds the journals", "--force")
	f.set(api.TransporterRemove, working(api.Progress{Done: true}))
	d.do(0, "transporter", "remove", "tm-dr", "--force")
	wants(t, f.saw(), `{"name":"tm-dr","force":true}`)
	for want, more := range map[string][]string{
		"--ova is needed": {"--name", "x"}, "set twice": append(args[2:], "--set", "nats=y"), "write KEY=VALUE": append(args[2:], "--set", "nonsense"), "/nowhere": append(args[2:], "--set-file", "k=/nowhere"),
	} {
		_, errs := d.do(exitUsage, append([]string{"transporter", "deploy"}, more...)...)
		wants(t, errs, want)
	}
	_, errs = d.do(exitNotFound, append(args, "--site", "moon")...)
	wants(t, errs, "dr and prod")
	// What never ends is given up, and says where to look.
	f.set(api.TransporterDeploy, working(api.Progress{Text: "uploading"}))
	f.set(api.TransporterRemove, working(api.Progress{Text: "waits for what is being done: uploading"}))
	for _, args := range [][]string{args, {"transporter", "remove", "tm-dr"}} {
		_, errs = d.do(exitUnreachable, append(args, "--timeout", "300ms")...)
		wants(t, errs, "--timeout", "what waits for something else has not begun", "tidemark transporter list")
		lacks(t, errs, "by itself", "tidemark status")
	}
	// What the service says is said once.
	f.set(api.TransporterDeploy, fails(cdp.Errorf(cdp.Conflict, "upgrade transporter", "tm-dr", "it keeps the journals of web")))
	_, errs = d.do(exitConflict, append([]string{"transporter", "upgrade", "tm-dr"}, args[6:14]...)...)
	wants(t, errs, "tidemark: upgrade transporter tm-dr: it keeps the journals of web\n")
	f.set(api.TransporterDeploy, fails(cdp.Errorf(cdp.Transient, "power on", "tm-dr", "the host does not respond")))
	_, errs = d.do(exitUnreachable, append([]string{"transporter", "upgrade", "tm-dr"}, args[6:14]...)...)
	wants(t, errs, "tidemark: upgrade transporter tm-dr: power on tm-dr: the host")
}

// TestFinishOutlivesAService: a service that is started again is waited for.
func TestFinishOutlivesAService(t *testing.T) {
	d := newDesk(t)
	n := 0
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.TransporterRemove: func(req []byte) (any, error) {
		if len(req) == 0 {
			return nil, nil
		}
		n++
		switch n {
		case 1:
			return api.Progress{Text: "powering off"}, nil
		case 2:
			return nil, cdp.Errorf(cdp.Transient, "ask vcenter", "transporter-remove", "nobody answers at site dr")
		}
		return api.Progress{Done: true}, nil
	}})
	_, errs := d.do(0, "transporter", "remove", "tm")
	wants(t, errs, "powering off", "asking again")
}

// TestFinishTakesAnAnswer: what the service says has failed is not asked again.
func TestFinishTakesAnAnswer(t *testing.T) {
	d := newDesk(t)
	n := 0
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.TransporterRemove: func(req []byte) (any, error) {
		if n++; n <= 2 { // the first is the test's own
			return api.Progress{Text: "powering off"}, nil
		}
		return nil, cdp.Errorf(cdp.Transient, "power off", "tm", "the host does not respond")
	}})
	_, errs := d.do(exitUnreachable, "transporter", "remove", "tm")
	wants(t, errs, "the host does not respond")
}

func TestIOFilters(t *testing.T) {
	d := newDesk(t)
	d.apply(0, twoSites)
	filter := inventory.Filter{ID: "TMK_1.0", Name: "tidemark", Version: "1.0", Bundle: "https://files/x.zip", Doing: "install",
		Hosts: []inventory.FilterHost{{Name: "esx1", State: "installed"}, {Name: "esx2", State: "pending", Issues: []string{"must be in maintenance mode"}}},
		Disks: []inventory.FilterDisk{{VM: "web01", Disk: "scsi0:0"}}}
	f := d.serve("prod", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VCenterInventory: says(inventory.Inventory{Clusters: []inventory.Cluster{{Place: inventory.Place{Name: "C1", Path: "/DC0/host/C1"}}}}),
		api.FilterStatus:     says(api.FiltersReply{Cluster: "C1", Filters: []inventory.Filter{filter}}),
		api.FilterChange:     working(api.Progress{Text: "installing on esx1", Moved: 1, Total: 2}, api.Progress{Done: true}),
	})
	out, errs := d.do(exitConflict, "iofilter", "install", "--site", "prod", "--cluster", "C1", "--bundle", "https://me:secret@files/x.zip")
	wants(t, errs, "not complete: 1 host waits for maintenance mode: esx2", "tidemark iofilter resolve --site prod --cluster C1 --filter TMK_1.0")
	lacks(t, out, "done")
	wants(t, errs, "installing on esx1", "50%")
	asked := f.saw()
	wants(t, asked, `"do":"install","bundle":"https://me:secret@files/x.zip","id":"f-`)
	ids := map[string]bool{}
	for line := range strings.Lines(asked) {
		if strings.HasPrefix(line, api.FilterChange) {
			ids[line] = true
		}
	}
	if len(ids) != 1 {
		t.Error("asked again with another request:", asked)
	}
	out, errs = d.do(0, "iofilter", "status")
	wants(t, out, "esx1", "esx2", "installed on 1 of 2 hosts, install pending on 1", "install pending", "must be in maintenance mode", "used by 1 disk", "tidemark iofilter resolve")
	wants(t, errs, "site dr:")
	out, _ = d.do(0, "iofilter", "issues", "--site", "prod", "--cluster", "C1")
	wants(t, out, "esx2")
	lacks(t, out, "esx1 ")
	out, _ = d.do(0, "iofilter", "status", "--site", "prod", "-o", "json")
	if got := decode[[]siteFilters](t, out); len(got) != 1 || got[0].Filters[0].ID != "TMK_1.0" {
		t.Error(out)
	}
	for _, do := range []string{"uninstall", "resolve"} {
		d.do(exitUsage, "iofilter", do, "--site", "prod", "--cluster", "C1")
		_, errs = d.do(exitConflict, "iofilter", do, "--site", "prod", "--cluster", "C1", "--filter", "TMK_1.0")
		wants(t, errs, "not complete")
		f.saw()
		_, errs = d.do(exitNotFound, "iofilter", do, "--site", "prod", "--cluster", "C1", "--filter", "nosuch")
		wants(t, errs, "nosuch", "the cluster has TMK_1.0")
		lacks(t, f.saw(), api.FilterChange)
	}
	// Told to go, it waits on both; another host has a trouble of its own.
	filter.Doing = "uninstall"
	filter.Hosts = []inventory.FilterHost{{Name: "esx1", State: "pending", Issues: []string{"must be in maintenance mode"}}, {Name: "esx2", State: "missing"},
		{Name: "esx3", State: "failed", Issues: []string{"the host is not connected"}}}
	status := api.FiltersReply{Cluster: "C1", Filters: []inventory.Filter{filter}}
	f.set(api.FilterStatus, says(status))
	_, errs = d.do(exitConflict, "iofilter", "uninstall", "--site", "prod", "--cluster", "C1", "--filter", "TMK_1.0")
	wants(t, errs, "1 host waits for maintenance mode: esx1; not done on 1 host: esx3 (the host is not connected)")
	out, _ = d.do(0, "iofilter", "status", "--site", "prod")
	wants(t, out, "uninstall pending on 2 of 3 hosts", "uninstall failed")
	status.Filters[0].Doing = "install"
	status.Filters[0].Hosts = []inventory.FilterHost{{Name: "esx1", State: "installed"}, {Name: "esx2", State: "installed"}}
	f.set(api.FilterStatus, says(status))
	out, _ = d.do(0, "iofilter", "resolve", "--site", "prod", "--cluster", "C1", "--filter", "TMK_1.0")
	wants(t, out, "resolve of C1 at site prod done", "TMK_1.0: installed on 2 hosts")
	out, errs = d.do(exitConflict, "iofilter", "install", "--site", "prod", "--cluster", "C1", "--bundle", "https://files/unheard-of.zip")
	wants(t, errs, "lists no filter of it")
	lacks(t, out, "done")
	d.do(exitUsage, "iofilter", "install", "--site", "prod", "--cluster", "C1", "--bundle", "/tmp/x.zip")
	d.do(exitUsage, "iofilter", "install", "--site", "prod", "--bundle", "https://x/y")
	f.set(api.FilterChange, fails(cdp.Errorf(cdp.Conflict, "uninstall", "TMK_1.0", "1 disk uses it: web01 scsi0:0")))
	_, errs = d.do(exitConflict, "iofilter", "uninstall", "--site", "prod", "--cluster", "C1", "--filter", "TMK_1.0")
	wants(t, errs, "web01 scsi0:0")
	f.saw()
	f.set(api.FilterStatus, says(api.FiltersReply{Cluster: "C1", Cannot: "the cluster is managed by an image (vLCM)"}))
	_, errs = d.do(exitConflict, "iofilter", "install", "--site", "prod", "--cluster", "C1", "--bundle", "https://x/y.zip")
	wants(t, errs, "cannot be managed here: the cluster is managed by an image")
	lacks(t, f.saw(), api.FilterChange)
}

func TestClock(t *testing.T) {
	d := newDesk(t)
	d.apply(0, twoSites)
	ms := time.Millisecond
	clocks := func(ahead time.Duration, hosts ...inventory.Clock) func([]byte) (any, error) {
		return func([]byte) (any, error) { return api.ClocksReply{At: time.Now().Add(ahead), Hosts: hosts}, nil }
	}
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.VCenterClocks: clocks(0,
		inventory.Clock{Name: "esx11", Min: -ms, Max: 2 * ms, NTP: []string{"pool.ntp.org"}}, inventory.Clock{Name: "esx12", Error: "the host does not respond"})})
	out, _ := d.do(0, "clock") // the source is dead
	wants(t, out, "services on tm-dr", "0, by definition", "-1.00 ms … +2.00 ms", "pool.ntp.org", "not measured: the host does not respond", "services on tm-prod", "not measured: its services", "site prod:", "nobody answers")

	// Its clock is 3 s behind, and esx1's 2 s ahead of that.
	d.serve("prod", subjects.VCenter, map[string]func([]byte) (any, error){api.VCenterClocks: clocks(-3*time.Second, inventory.Clock{Name: "esx1", Min: 2 * time.Second, Max: 2*time.Second + ms})})
	began := time.Now()
	all := decode[[]reading](t, outOf(d.do(0, "clock", "-o", "json")))
	took := time.Since(began)
	if len(all) != 5 {
		t.Fatalf("%+v", all)
	}
	services, host := all[3], all[4]
	if !services.Known || services.Min > -3*time.Second || services.Max < -3*time.Second || services.Max-services.Min > took {
		t.Errorf("%+v", services)
	}
	if host.Min != services.Min+2*time.Second || host.Max != services.Max+2*time.Second+ms {
		t.Errorf("%+v", host)
	}
	out, _ = d.do(0, "clock")
	wants(t, out, "behind", "off by more than 1 s", "no NTP server")

	// With a clock that tells when it was asked the interval is a round trip.
	d.serve("prod", subjects.Capture, map[string]func([]byte) (any, error){api.CaptureClock: func([]byte) (any, error) {
		now := time.Now().Add(-3 * time.Second).UnixNano()
		return api.ClockReply{Received: now, Sent: now}, nil
	}})
	again := decode[[]reading](t, outOf(d.do(0, "clock", "-o", "json")))[3]
	if again.Min > -3*time.Second || again.Max < -3*time.Second {
		t.Errorf("%+v", again)
	}
	// The journal's own measurement is taken where it is the best there is.
	d.apply(0, goodJob("/a", "/b"))
	d.serve("dr", subjects.Journal, map[string]func([]byte) (any, error){api.JournalStatus: says(api.StatusReply{Groups: []api.GroupStatus{{Group: "web", ClockOffset: 3 * time.Second, ClockBound: 1}}})})
	again = decode[[]reading](t, outOf(d.do(0, "clock", "-o", "json")))[3]
	if again.Min != -3*time.Second-1 || again.Max != -3*time.Second+1 {
		t.Errorf("%+v", again)
	}
}

func TestSpans(t *testing.T) {
	ms := time.Millisecond
	a, b := span{1 * ms, 3 * ms}, span{-2 * ms, 5 * ms}
	for got, want := range map[string]string{
		a.String():                                     "+1.00 ms … +3.00 ms ahead",
		a.minus().String():                             "-3.00 ms … -1.00 ms behind",
		b.String():                                     "-2.00 ms … +5.00 ms",
		a.plus(b).String():                             "-1.00 ms … +8.00 ms",
		a.meet(b).String():                             "+1.00 ms … +3.00 ms ahead",
		a.meet(span{10 * ms, 11 * ms}).String():        "+10.00 ms … +11.00 ms ahead",
		span{-1500 * ms, 2 * ms}.String():              "-1.500 s … +0.002 s",
		b.plus(b.minus()).String():                     "-7.00 ms … +7.00 ms",
		span{2 * time.Hour, 2*time.Hour + ms}.String(): "+7200.000 s … +7200.001 s ahead",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
