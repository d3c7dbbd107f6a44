package orchestrator_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// oneVM is the VM of the job vms-web, with the address that another VM has.
type oneVM struct {
	noVMs
	gone bool // the vCenter does not answer
}

func (oneVM) Member(context.Context, string) (inventory.Member, error) {
	m := inventory.Member{State: inventory.Ready, Identity: &inventory.Identity{NICs: []inventory.NICIdentity{{IP: "10.9.0.5"}}}}
	m.VM.Name = "web"
	return m, nil
}

func (v oneVM) Obstacles(context.Context, spec.VMJob) ([]inventory.Problem, error) {
	if v.gone {
		return nil, cdp.Errorf(cdp.Transient, "ask", "vc", "nobody answers")
	}
	return []inventory.Problem{{Rule: "space", Path: "/spec/target/datastore", Text: "ds1 is nearly full"}}, nil
}

func (v oneVM) Here(context.Context) (inventory.Inventory, int, error) {
	other := inventory.VM{UUID: "u2", Power: inventory.PoweredOn, Guest: inventory.Guest{NICs: []inventory.GuestNIC{{IPs: []string{"10.9.0.5/24"}}}}}
	other.Name = "printer"
	var err error
	if v.gone {
		err = cdp.Errorf(cdp.Transient, "ask", "vc", "nobody answers")
	}
	return inventory.Inventory{VMs: []inventory.VM{other}}, 1, err
}

// What the vCenter knows of a plan's VMs is looked at; without its answer the rest is
// checked, and the plan can be applied in a disaster.
func TestAPlanOfVMsIsCheckedAgainstTheirVCenter(t *testing.T) {
	w := newWorld()
	job := spec.ReplicationJob{Name: "vms-web", Of: "vms"}
	job.Target.VM, job.Source.Site = "web-replica", "prod"
	w.listed, w.onVMs, w.vms = []spec.ReplicationJob{job}, []spec.VMJob{{Job: inventory.Job{Name: "vms"}}}, oneVM{}
	w.running["vms-web"] = true
	w.plans["shop"] = parse(t, "- {name: web, failover: {job: vms-web}}")
	check := func() string {
		reply, err := w.service().Endpoints()[api.PlanCheck](t.Context(), json.RawMessage(`{"plan":"shop"}`))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range reply.(api.PlanCheckReply).Findings {
			lines = append(lines, f.String())
		}
		return strings.Join(lines, "\n")
	}
	if got := check(); !strings.Contains(got, "web gets the address 10.9.0.5, which the VM printer at site dr has") || !strings.Contains(got, "ds1 is nearly full") {
		t.Error(got)
	}
	w.vms = oneVM{gone: true}
	if got := check(); got != "" {
		t.Error(got)
	}
}
