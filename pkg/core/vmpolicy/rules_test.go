package vmpolicy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

func place(kind, path string) inventory.Place {
	return inventory.Place{Ref: inventory.Ref(kind + ":" + path), Name: path[strings.LastIndex(path, "/")+1:], Path: path}
}

func web(name string) inventory.VM {
	return inventory.VM{
		Place: place("VirtualMachine", "/A/vm/Prod/"+name), UUID: "uuid-" + name, Power: "on", State: "connected",
		Hardware: inventory.Hardware{
			Version: "vmx-19", CPUs: 2, MemoryMB: 1024, Firmware: "efi",
			Controllers: []inventory.Controller{{Key: 1000, Kind: "pvscsi", Sharing: "none"}},
			Disks: []inventory.Disk{
				{Key: 2000, Label: "Hard disk 1", Controller: 1000, Unit: 0, Size: 8 << 30, UUID: name + "0", Mode: "persistent"},
				{Key: 2001, Label: "Hard disk 2", Controller: 1000, Unit: 1, Size: 4 << 30, UUID: name + "1", Mode: "persistent"},
			},
			NICs: []inventory.NIC{{Key: 4000, Label: "Network adapter 1", NetName: "VM Network", Connected: true}},
		},
		Guest: inventory.Guest{HostName: name + ".example.com", Family: "linuxGuest",
			NICs: []inventory.GuestNIC{{Key: 4000, IPs: []string{"fe80::1/64", "10.0.0.5/24"}, Gateway: "10.0.0.1", DNS: []string{"10.0.0.2"}}}},
	}
}

func target() inventory.Inventory {
	host := inventory.Host{Place: place("HostSystem", "/B/host/c1/esx1"), Cluster: "ClusterComputeResource:/B/host/c1", State: "connected", Version: "8.0.3", Newest: "vmx-21"}
	return inventory.Inventory{
		Datacenters: []inventory.Place{place("Datacenter", "/B")},
		Clusters:    []inventory.Cluster{{Place: place("ClusterComputeResource", "/B/host/c1"), Hosts: []inventory.Ref{host.Ref}, Pool: "ResourcePool:/B/host/c1/Resources"}},
		Hosts:       []inventory.Host{host},
		Datastores:  []inventory.Datastore{{Place: place("Datastore", "/B/datastore/ds1"), Capacity: 100 << 30, Free: 50 << 30, Accessible: true, Hosts: []inventory.Ref{host.Ref}}},
		Networks:    []inventory.Network{{Place: place("Network", "/B/network/prod")}, {Place: place("Network", "/B/network/isolated")}},
		Folders:     []inventory.Place{place("Folder", "/B/vm"), place("Folder", "/B/vm/DR")},
		Pools:       []inventory.Place{place("ResourcePool", "/B/host/c1/Resources")},
	}
}

func job() inventory.Job {
	return inventory.Job{Name: "shop",
		Source: inventory.JobSource{VMs: []inventory.Selector{{Folder: "/A/vm/Prod"}}, Capture: "cbt"},
		Target: inventory.JobTarget{Cluster: "c1", Datastore: "ds1", Folder: "DR", Networks: []inventory.NetworkMap{{From: "VM Network", To: "prod", Test: "isolated"}}}}
}

// TestCheck: a job in order has no problem; each thing that is wrong is told
// with its rule, and all of them at once.
func TestCheck(t *testing.T) {
	situation := func() vmpolicy.Situation {
		return vmpolicy.Situation{Job: job(), Members: []inventory.VM{web("web01"), web("web02")}, Target: target(), JournalFree: -1}
	}
	if got := vmpolicy.Check(situation()); len(got) > 0 {
		t.Fatalf("%+v", got)
	}
	cases := map[string]func(*vmpolicy.Situation){
		"unmapped": func(s *vmpolicy.Situation) { s.Members[0].Hardware.NICs[0].NetName = "DMZ" },
		"space":    func(s *vmpolicy.Situation) { s.Target.Datastores[0].Free = 20 << 30 },
		"rdm":      func(s *vmpolicy.Situation) { s.Members[0].Hardware.Disks[0].RDM = "physical" },
		"shared":   func(s *vmpolicy.Situation) { s.Members[0].Hardware.Disks[0].Sharing = true },
		"independent": func(s *vmpolicy.Situation) {
			s.Members[0].Hardware.Disks[0].Mode = "independent_persistent"
		},
		"chain":     func(s *vmpolicy.Situation) { s.Members[0].Hardware.Disks[0].Below = make([]string, 31) },
		"hardware":  func(s *vmpolicy.Situation) { s.Target.Hosts[0].Newest = "vmx-14" },
		"vtpm":      func(s *vmpolicy.Situation) { s.Members[1].Hardware.TPM = true },
		"encrypted": func(s *vmpolicy.Situation) { s.Members[1].Hardware.Encrypted = true },
		"duplicate": func(s *vmpolicy.Situation) { s.Taken = map[string]string{"uuid-web01": "other"} },
		"name": func(s *vmpolicy.Situation) {
			s.Target.VMs = append(s.Target.VMs, inventory.VM{Place: place("VirtualMachine", "/B/vm/web01-replica")})
		},
		"in-use": func(s *vmpolicy.Situation) {
			s.Job.Target.Seeds = []inventory.Seed{{DiskRef: inventory.DiskRef{VM: "web01", Disk: "scsi0:0"}, File: "[ds1] /erp/./erp.vmdk"}}
			erp := inventory.VM{Place: place("VirtualMachine", "/B/vm/erp")}
			erp.Hardware.Disks = []inventory.Disk{{File: "[ds1] erp/erp-000001.vmdk", Below: []string{"[ds1] erp/erp.vmdk"}}}
			s.Target.VMs = append(s.Target.VMs, erp)
		},
		"reference": func(s *vmpolicy.Situation) { s.Job.Target.Folder = "nowhere" },
		"state":     func(s *vmpolicy.Situation) { s.Target.Hosts[0].Maintenance = true },
		"disks": func(s *vmpolicy.Situation) {
			s.Job.Source.ExcludeDisks = []inventory.DiskRef{{VM: "web01", Disk: "scsi0:0"}, {VM: "web01", Disk: "Hard disk 2"}}
		},
		"unused": func(s *vmpolicy.Situation) {
			s.Job.Target.ReIP = []inventory.ReIP{{From: "10.1.0.0/24", To: "10.9.0.0/24"}}
		},
		"required": func(s *vmpolicy.Situation) { s.Job.Source.Capture = "tap" },
		"partial": func(s *vmpolicy.Situation) {
			s.Job.Source.Capture, s.Job.Source.Filter = "tap", "f"
			s.Filters = []inventory.Filter{{ID: "f", Hosts: []inventory.FilterHost{{Name: "esx9", State: "failed"}}}}
		},
	}
	all := situation()
	for rule, break1 := range cases {
		s := situation()
		break1(&s)
		if rule != "disks" && rule != "required" { // those would hide others
			break1(&all)
		}
		got := vmpolicy.Check(s)
		if len(got) == 0 || slices.ContainsFunc(got, func(p inventory.Problem) bool { return p.Rule != rule || p.Warning != (rule == "unused") }) {
			t.Errorf("%s: %+v", rule, got)
		}
	}
	for rule := range cases {
		got := vmpolicy.Check(all)
		if rule != "disks" && rule != "required" && rule != "space" && !slices.ContainsFunc(got, func(p inventory.Problem) bool { return p.Rule == rule }) {
			t.Errorf("%s is not told beside the others: %+v", rule, got)
		}
	}
	s := situation()
	s.Job.Source.Capture, s.Job.Source.Filter = "tap", "f"
	s.Hosts = []inventory.Host{{Place: place("HostSystem", "/A/host/c1/esx1")}, {Place: place("HostSystem", "/A/host/c2/esx2")}}
	s.Filters = []inventory.Filter{{ID: "f", Hosts: []inventory.FilterHost{{Host: s.Hosts[0].Ref, Name: "esx1", State: "installed"}}}}
	if got := vmpolicy.Check(s); len(got) != 1 || got[0].Rule != "partial" || !strings.Contains(got[0].Text, "esx2") || strings.Contains(got[0].Text, "esx1") {
		t.Errorf("a cluster without the filter: %+v", got)
	}
	s = situation()
	s.Made = map[string]bool{"uuid-web01": true, "uuid-web02": true}
	s.Target.Datastores[0].Free = 1
	if got := vmpolicy.Check(s); len(got) > 0 {
		t.Errorf("replicas that stand need no space: %+v", got)
	}
	s = situation()
	s.Known = map[string]string{"uuid-web01": "shop-web01"}
	mine := inventory.VM{Place: place("VirtualMachine", "/B/vm/web01-replica")}
	mine.Hardware.Extra = map[string]string{inventory.MarkGroup: "shop-web01"}
	s.Target.VMs = []inventory.VM{mine}
	if got := vmpolicy.Check(s); len(got) > 0 {
		t.Errorf("a replica that was made before a crash: %+v", got)
	}
	s = situation()
	one := func(vm, file string) inventory.Seed {
		return inventory.Seed{DiskRef: inventory.DiskRef{VM: vm, Disk: "scsi0:0"}, File: file}
	}
	s.Job.Target.Seeds = []inventory.Seed{one("web01", "[ds1] old/web01.vmdk"), one("web02", "[ds1] old/web02.vmdk")}
	s.Known = map[string]string{"uuid-web01": "shop-web01", "uuid-web02": "shop-web02"}
	s.Replicas = map[string]string{"[ds1] old/web01.vmdk": "shop-web01"}
	if got := vmpolicy.Check(s); len(got) > 0 {
		t.Errorf("seeds that are free, or the replica's own by now: %+v", got)
	}
	s.Replicas = map[string]string{"[ds1] old/web01.vmdk": "other-web01"}
	s.Job.Target.Seeds[1].File = "[ds1]  old/web01.vmdk"
	if got := vmpolicy.Check(s); len(got) != 2 || got[0].VM != "web01" || got[1].VM != "web02" || got[0].Rule != "in-use" || !strings.Contains(got[1].Text, "scsi0:0 of web01, too") {
		t.Errorf("seeds of another replica and twice: %+v", got)
	}
	s = situation()
	s.JournalFree, s.JournalLimit = 10<<30, 6<<30
	if got := vmpolicy.Check(s); len(got) != 1 || got[0].Path != "/spec/journal/size" {
		t.Errorf("%+v", got)
	}
}

func TestMatch(t *testing.T) {
	a, b, twin, tpl, rep := web("a"), web("b"), web("a"), web("tpl"), web("rep")
	twin.Path, twin.UUID = "/A/vm/Other/a", "uuid-twin"
	b.Tags, twin.Tags = []string{"tier/web"}, []string{"tier/web"}
	tpl.Template = true
	rep.Hardware.Extra = map[string]string{inventory.MarkGroup: "x"}
	inv := inventory.Inventory{Folders: []inventory.Place{place("Folder", "/A/vm/Prod"), place("Folder", "/A/vm/Empty")}, VMs: []inventory.VM{a, b, twin, tpl, rep}}
	for _, c := range []struct {
		s    inventory.Selector
		want string
		rule string
	}{
		{inventory.Selector{Name: "b"}, "[/A/vm/Prod/b]", ""},
		{inventory.Selector{Name: "a"}, "[]", "ambiguous"},
		{inventory.Selector{Path: "/A/vm/Other/a"}, "[/A/vm/Other/a]", ""},
		{inventory.Selector{UUID: "UUID-A"}, "[/A/vm/Prod/a]", ""},
		{inventory.Selector{Folder: "Prod"}, "[/A/vm/Prod/a /A/vm/Prod/b]", ""},
		{inventory.Selector{Folder: "Prod", Exclude: []string{"a"}}, "[/A/vm/Prod/b]", ""},
		{inventory.Selector{Folder: "Prod", Exclude: []string{"a", "aa"}}, "[/A/vm/Prod/b]", "reference"},
		{inventory.Selector{Folder: "Empty"}, "[]", "reference"},
		{inventory.Selector{Tag: "tier/db"}, "[]", "reference"},
		{inventory.Selector{Folder: "Nowhere"}, "[]", "folder"},
		{inventory.Selector{Tag: "tier/web"}, "[/A/vm/Other/a /A/vm/Prod/b]", ""},
		{inventory.Selector{Name: "tpl"}, "[]", "unsupported"},
		{inventory.Selector{Name: "rep"}, "[]", "unsupported"},
	} {
		got, bad := vmpolicy.Match(inv, []inventory.Selector{c.s, c.s}, "")
		var paths []string
		for _, v := range got {
			paths = append(paths, v.Path)
		}
		if fmt.Sprint(paths) != c.want || (len(bad) > 0) != (c.rule != "") || c.rule != "" && bad[0].Rule != c.rule {
			t.Errorf("%+v: %v, %+v", c.s, paths, bad)
		}
	}
}

func TestIdentify(t *testing.T) {
	v := web("web01")
	if id, _ := vmpolicy.Identify(v, nil); id != nil {
		t.Error("no rule, but", id)
	}
	subnet := inventory.ReIP{From: "10.0.0.0/23", To: "172.16.8.0/23"}
	id, used := vmpolicy.Identify(v, []inventory.ReIP{subnet})
	if id == nil || id.HostName != "web01" || id.Domain != "example.com" || len(used) != 1 {
		t.Fatalf("%+v", id)
	}
	if n := id.NICs[0]; n.IP != "172.16.8.5" || n.Mask != "255.255.254.0" || n.Gateway != "172.16.8.1" || !slices.Equal(n.DNS, []string{"10.0.0.2"}) {
		t.Errorf("%+v", n)
	}
	id, used = vmpolicy.Identify(v, []inventory.ReIP{subnet, {VM: "web01", IP: "10.9.0.7/24", Gateway: "10.9.0.254", DNS: []string{"9.9.9.9"}}})
	if n := id.NICs[0]; n.IP != "10.9.0.7" || n.Mask != "255.255.255.0" || n.Gateway != "10.9.0.254" || n.DNS[0] != "9.9.9.9" || used[0] != 1 {
		t.Errorf("%+v %v", n, used)
	}
}

// TestGroupName: always a name, never one that is taken by another VM.
func TestGroupName(t *testing.T) {
	if g := vmpolicy.GroupName("shop", "web01", "u", func(string) bool { return false }); g != "shop-web01" {
		t.Error(g)
	}
	rapid.Check(t, func(t *rapid.T) {
		job := rapid.StringMatching(`[a-z][a-z0-9-]{0,39}`).Draw(t, "job")
		taken := map[string]bool{}
		for i := range 6 {
			vm := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9 _.-]{0,60}`), rapid.String()).Draw(t, "vm")
			g := vmpolicy.GroupName(job, vm, fmt.Sprint("uuid-", i), func(s string) bool { return taken[s] })
			if err := cdp.CheckName("group", string(g)); err != nil || taken[string(g)] {
				t.Fatal(err, g)
			}
			taken[string(g)] = true
		}
	})
}

func TestDiff(t *testing.T) {
	was := web("web01").Hardware
	var only []inventory.MemberDisk
	for _, d := range was.Disks {
		only = append(only, inventory.MemberDisk{Disk: d, Address: was.Address(d)})
	}
	for kind, c := range map[string]struct {
		change func(*inventory.Hardware)
		follow bool
	}{
		"":              {func(*inventory.Hardware) {}, true},
		"cpu":           {func(h *inventory.Hardware) { h.CPUs = 8 }, true},
		"memory":        {func(h *inventory.Hardware) { h.MemoryMB *= 2 }, true},
		"nic":           {func(h *inventory.Hardware) { h.NICs[0].NetName = "other" }, true},
		"extra":         {func(h *inventory.Hardware) { h.Extra = map[string]string{"vhv.enable": "TRUE"} }, true},
		"firmware":      {func(h *inventory.Hardware) { h.SecureBoot = true }, false},
		"disk-removed":  {func(h *inventory.Hardware) { h.Disks = h.Disks[:1] }, false},
		"disk-resized":  {func(h *inventory.Hardware) { h.Disks[1].Size *= 2 }, false},
		"disk-replaced": {func(h *inventory.Hardware) { h.Disks[1].UUID = "z" }, false},
		"disk-moved":    {func(h *inventory.Hardware) { h.Disks[1].Unit = 5 }, false},
		"disk-added": {func(h *inventory.Hardware) {
			h.Disks = append(h.Disks, inventory.Disk{Key: 2009, Controller: 1000, Unit: 9})
		}, false},
	} {
		is := web("web01").Hardware
		c.change(&is)
		got := vmpolicy.Diff(was, is, only)
		if kind == "" && len(got) > 0 || kind != "" && (len(got) != 1 || got[0].Kind != kind || got[0].Follow != c.follow || got[0].Text == "") {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}
