package vmpolicy_test

import (
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// situation is one without problems: the job of two VMs.
func situation() vmpolicy.Situation {
	return vmpolicy.Situation{Job: job(), Members: []inventory.VM{web("web01"), web("web02")}, Target: target(), JournalFree: -1}
}

// spoil has, for each rule, what makes a situation break it.
var spoil = map[string]func(*vmpolicy.Situation){
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
	"twin": func(s *vmpolicy.Situation) {
		of := []inventory.TwinsVM{{UUID: "uuid-web01", Path: "/A/vm/Prod/web01"}, {UUID: "uuid-web02", Path: "/A/vm/Prod/web02"}}
		s.Twins = []inventory.Twin{{Disk: "web010", Of: of}}
	},
	"nic": func(s *vmpolicy.Situation) { s.Members[0].Hardware.NICs[0].Kind = "sriov" },
	"datacenter": func(s *vmpolicy.Situation) {
		s.Target.Datacenters = append(s.Target.Datacenters, place("Datacenter", "/C"))
		s.Transporter = inventory.VM{UUID: "t", Place: place("VirtualMachine", "/C/vm/transporter")}
	},
	"name": func(s *vmpolicy.Situation) {
		s.Target.VMs = append(s.Target.VMs, inventory.VM{Place: place("VirtualMachine", "/B/vm/web01-replica")})
	},
	"in-use": func(s *vmpolicy.Situation) {
		s.Job.Target.Seeds = []inventory.Seed{seed("web01", "[ds1] /erp/./erp.vmdk")}
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

func seed(vm, file string) inventory.Seed {
	return inventory.Seed{DiskRef: inventory.DiskRef{VM: vm, Disk: "scsi0:0"}, File: file}
}

func TestAJobWithoutProblemsHasNone(t *testing.T) {
	if got := vmpolicy.Check(situation()); len(got) > 0 {
		t.Fatalf("%+v", got)
	}
}

func TestEachProblemHasItsRule(t *testing.T) {
	for rule, break1 := range spoil {
		s := situation()
		break1(&s)
		got := vmpolicy.Check(s)
		if len(got) == 0 || slices.ContainsFunc(got, func(p inventory.Problem) bool { return p.Rule != rule || p.Warning != (rule == "unused") }) {
			t.Errorf("%s: %+v", rule, got)
		}
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	all := situation()
	for rule, break1 := range spoil {
		if rule != "disks" && rule != "required" { // those would hide others
			break1(&all)
		}
	}
	got := vmpolicy.Check(all)
	for rule := range spoil {
		if rule != "disks" && rule != "required" && rule != "space" && !slices.ContainsFunc(got, func(p inventory.Problem) bool { return p.Rule == rule }) {
			t.Errorf("%s is not reported with the others: %+v", rule, got)
		}
	}
}

func TestAFilterIsNeededOnEveryCluster(t *testing.T) {
	s := situation()
	s.Job.Source.Capture, s.Job.Source.Filter = "tap", "f"
	s.Hosts = []inventory.Host{{Place: place("HostSystem", "/A/host/c1/esx1")}, {Place: place("HostSystem", "/A/host/c2/esx2")}}
	s.Filters = []inventory.Filter{{ID: "f", Hosts: []inventory.FilterHost{{Host: s.Hosts[0].Ref, Name: "esx1", State: "installed"}}}}
	if got := vmpolicy.Check(s); len(got) != 1 || got[0].Rule != "partial" || !strings.Contains(got[0].Text, "esx2") || strings.Contains(got[0].Text, "esx1") {
		t.Errorf("a cluster without the filter: %+v", got)
	}
}

func TestExistingReplicasAreNoProblem(t *testing.T) {
	s := situation()
	s.Made = map[string]bool{"uuid-web01": true, "uuid-web02": true}
	s.Target.Datastores[0].Free = 1
	if got := vmpolicy.Check(s); len(got) > 0 {
		t.Errorf("existing replicas need no space: %+v", got)
	}
	s = situation()
	s.Known = map[string]string{"uuid-web01": "shop-web01"}
	mine := inventory.VM{Place: place("VirtualMachine", "/B/vm/web01-replica")}
	mine.Hardware.Extra = map[string]string{inventory.MarkGroup: "shop-web01"}
	s.Target.VMs = []inventory.VM{mine}
	if got := vmpolicy.Check(s); len(got) > 0 {
		t.Errorf("a replica that was made before a crash: %+v", got)
	}
}

func TestSeedsMustBeUnused(t *testing.T) {
	s := situation()
	s.Job.Target.Seeds = []inventory.Seed{seed("web01", "[ds1] old/web01.vmdk"), seed("web02", "[ds1] old/web02.vmdk")}
	s.Known = map[string]string{"uuid-web01": "shop-web01", "uuid-web02": "shop-web02"}
	s.Replicas = map[string]string{"[ds1] old/web01.vmdk": "shop-web01"}
	if got := vmpolicy.Check(s); len(got) > 0 {
		t.Errorf("seeds that are unused, or the replica's own by now: %+v", got)
	}
	s.Replicas = map[string]string{"[ds1] old/web01.vmdk": "other-web01"}
	s.Job.Target.Seeds[1].File = "[ds1]  old/web01.vmdk"
	if got := vmpolicy.Check(s); len(got) != 2 || got[0].VM != "web01" || got[1].VM != "web02" || got[0].Rule != "in-use" || !strings.Contains(got[1].Text, "also the seed of scsi0:0 of web01") {
		t.Errorf("seeds of another replica and twice: %+v", got)
	}
}

func TestJournalsNeedSpace(t *testing.T) {
	s := situation()
	s.JournalFree, s.JournalLimit = 10<<30, 6<<30
	if got := vmpolicy.Check(s); len(got) != 1 || got[0].Path != "/spec/journal/size" {
		t.Errorf("%+v", got)
	}
}

// Names are unique in a datacenter only.
func TestEverythingOfAReplicaIsInOneDatacenter(t *testing.T) {
	s := situation()
	s.Target.Datacenters = append(s.Target.Datacenters, place("Datacenter", "/C"))
	there := s.Target.Datastores[0]
	there.Place = place("Datastore", "/C/datastore/ds2")
	s.Target.Datastores = append(s.Target.Datastores, there)
	s.Target.Networks = append(s.Target.Networks, inventory.Network{Place: place("Network", "/C/network/lab")})
	s.Job.Target.Disks = []inventory.DiskPlace{{DiskRef: inventory.DiskRef{VM: "web01", Disk: "scsi0:1"}, Datastore: "ds2"}}
	s.Job.Target.Networks[0].Test = "lab"
	got := vmpolicy.Check(s)
	if len(got) != 2 || got[0].Path != "/spec/target/disks/0/datastore" || got[1].Path != "/spec/target/networks/0/test" {
		t.Errorf("%+v", got)
	}
}

func TestSnapshotsFromBeforeTrackingAreAWarning(t *testing.T) {
	s := situation()
	s.Members[0].Snapshots = []inventory.Snapshot{{Name: "old"}}
	if got := vmpolicy.Check(s); len(got) != 1 || !got[0].Warning || got[0].Rule != "tracking" || got[0].VM != "web01" {
		t.Errorf("%+v", got)
	}
	s.Members[0].Tracking = true
	if got := vmpolicy.Check(s); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}
