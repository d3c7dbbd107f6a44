package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// The exact words that an operator gets about a bad plan. Input is the spec of a
// plan; see shopFacts for the site.
func TestWhatAnOperatorIsToldOfABadPlan(t *testing.T) {
	for _, file := range []string{"check", "check-vms", "check-source"} {
		t.Run(file, func(t *testing.T) { datadriven.RunTest(t, "testdata/"+file, told) })
	}
}

func told(t *testing.T, d *datadriven.TestData) string {
	text := document(d.Input)
	if d.Cmd == "triggers" {
		text = strings.Replace(document(d.Input), "  actions:", "  actions: [{name: a, wait: 1s}]\n  triggers:", 1)
	}
	objects, err := spec.Parse("plan.yaml", []byte(text))
	if err != nil {
		return err.Error()
	}
	p := *objects[0].Plan
	if d.HasArg("starts-without-prod") {
		p.Triggers = []spec.Trigger{{Name: "prod-gone", Mode: recovery.Production, Unreachable: &spec.SiteGone{Site: "prod", Need: 2}}}
	}
	var out []string
	for _, f := range plan.Check(p, shopFacts()) {
		out = append(out, f.String())
	}
	if out == nil {
		return "nothing"
	}
	return strings.Join(out, "\n")
}

// shopFacts is a site with the jobs db and web, of which web has a replica VM, a
// stopped job old and a job hourly with an RPO of an hour; with the script move-dns; and
// with the plans other, which changes the job shared, and leads, which runs shop. Jobs on VMs are vm-db, vm-app,
// vm-late, whose replica is not made yet, vm-sick, whose replica is in trouble, and vm-twin,
// whose VM is that of vm-db.
func shopFacts() plan.Facts {
	f := plan.Facts{
		Jobs: map[string]plan.JobFacts{
			"db": {Source: "prod", Running: true, RPO: 5 * time.Second}, "web": {Source: "prod", Running: true, VM: true},
			"old": {Source: "prod"}, "shared": {Source: "prod", Running: true}, "hourly": {Source: "prod", Running: true, RPO: time.Hour},
		},
		Scripts: map[string]bool{"move-dns": true},
		Blind:   map[string]string{"blind": "there is no VM \"gone01\" at the site prod"},
		Power:   map[string]string{"start-web": "the VM is the replica of the job web"},
		Unseen:  map[string]string{"gone": "there is no VM \"web09\" at the site dr"},
		Points:  map[string]string{"at-friday": "there is no recovery point with the tag friday"},
		Others: []spec.Plan{{Name: "other", Actions: []spec.Action{
			{Name: "a", Failover: &spec.FailoverAction{Job: "shared"}},
			{Name: "b", Failover: &spec.FailoverAction{Job: "vm-twin"}},
		}}, {Name: "leads", Actions: []spec.Action{{Name: "a", RunPlan: &spec.PlanAction{Plan: "shop"}}}}},
		VMFacts: plan.VMFacts{
			VMs: map[string]inventory.Member{}, Slots: 3, Free: map[string]int64{"ds1": 10 << 30},
			Addresses: plan.AddressesOf([]inventory.VM{guest("files", "u-files", "10.9.0.20/24"), guest("db-replica", "u-r-vm-db", "10.9.0.10/24")}),
			Obstacles: map[string][]inventory.Problem{"vms": {
				{Rule: "space", Path: "/spec/target/datastore", Text: "the datastore ds1 has 2.0 GiB free"},
				{Rule: "reference", Path: "/spec/target/networks/0/to", Text: "there is no network Prod-DR"},
				{Rule: "unreachable", Text: "the source does not answer"},
			}},
		},
	}
	for name, ip := range map[string]string{"vm-db": "10.9.0.10", "vm-app": "10.9.0.20", "vm-late": "10.9.0.30", "vm-twin": "10.9.0.10", "vm-sick": "10.9.0.40"} {
		m := inventory.Member{VM: guest(strings.TrimPrefix(name, "vm-"), "u-"+name, "10.0.0.5/24"), ReplicaUUID: "u-r-" + name, State: inventory.Ready, Networks: map[int32]inventory.Ref{4000: "n"}}
		m.Identity = &inventory.Identity{NICs: []inventory.NICIdentity{{IP: ip}}}
		m.VM.Hardware.NICs = []inventory.NIC{{Key: 4000, Label: "Network adapter 1", NetName: "VM Network"}}
		for range 2 {
			m.Disks = append(m.Disks, inventory.MemberDisk{File: "[ds1] x/x.vmdk", Disk: inventory.Disk{Size: 4 << 30}})
		}
		job := plan.JobFacts{Source: "prod", Running: true, VM: true, UUID: "u-" + name}
		switch name {
		case "vm-app":
			job.Of = "vms"
			m.VM.Hardware.NICs = append(m.VM.Hardware.NICs, inventory.NIC{Key: 4001, Label: "Network adapter 2", NetName: "Backup"})
		case "vm-late":
			m.State = inventory.Preparing
		case "vm-sick":
			m.Trouble = "its snapshot cannot be removed"
		case "vm-twin":
			job.UUID = "u-vm-db"
		}
		f.VMs[name], f.Jobs[name] = m, job
	}
	return f
}

// guest is a VM that is on.
func guest(name, uuid, ip string) inventory.VM {
	v := inventory.VM{UUID: uuid, Power: inventory.PoweredOn, Guest: inventory.Guest{NICs: []inventory.GuestNIC{{Key: 4000, IPs: []string{ip, "fe80::1/64"}}}}}
	v.Name = name
	return v
}

// document makes a plan of its actions.
func document(actions string) string {
	return "apiVersion: tidemark.dev/v1\nkind: SiteRecoveryJob\nmetadata: {name: shop}\nspec:\n  site: dr\n  actions:\n  " + strings.ReplaceAll(actions, "\n", "\n  ") + "\n"
}

func parse(t testing.TB, actions string) spec.Plan {
	t.Helper()
	objects, err := spec.Parse("plan.yaml", []byte(document(actions)))
	if err != nil {
		t.Fatal(err)
	}
	return *objects[0].Plan
}
