package vmpolicy_test

import (
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// In a cluster without DRS a vCenter refuses to make a VM that has no host.
func TestAClusterWithoutDRSNeedsAHost(t *testing.T) {
	inv, to := target(), job().Target
	second := inv.Hosts[0]
	second.Place = place("HostSystem", "/B/host/c1/esx2")
	inv.Hosts = append(inv.Hosts, second)
	inv.Datastores[0].Hosts = append(inv.Datastores[0].Hosts, second.Ref)
	inv.VMs = []inventory.VM{{Host: inv.Hosts[0].Ref}}
	if p, bad := vmpolicy.Place(inv, to); p.Host != second.Ref || len(bad) > 0 {
		t.Errorf("the host with fewer VMs is %s: %+v %v", second.Ref, p, bad)
	}
	inv.Hosts[1].Maintenance = true
	if p, _ := vmpolicy.Place(inv, to); p.Host != inv.Hosts[0].Ref {
		t.Errorf("the other one is in maintenance mode: %+v", p)
	}
	inv.Clusters[0].DRS = true
	if p, _ := vmpolicy.Place(inv, to); p.Host != "" {
		t.Errorf("DRS chooses: %+v", p)
	}
}
