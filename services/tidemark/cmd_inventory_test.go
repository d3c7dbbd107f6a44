package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

func TestInventory(t *testing.T) {
	t.Parallel() // it mostly waits
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
	d.do(exitUsage, "inventory", "--kind", "vms", "--unprotected")

	named := func(name string) inventory.VM {
		return inventory.VM{UUID: "u-" + name, Place: inventory.Place{Name: name, Path: "/DC1/vm/" + name}}
	}
	golden, replica := named("golden"), named("web01-replica")
	golden.Template, replica.Hardware.Extra = true, map[string]string{inventory.MarkGroup: "shop-web01"}
	d.put("shop", "web01")
	d.serve("prod", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VCenterInventory: says(inventory.Inventory{Site: "prod", About: aboutVC()}),
		api.VCenterVMs:       says(api.VMsReply{VMs: []inventory.VM{named("web01"), named("db01"), golden, replica}}),
	})
	out, _ = d.do(0, "inventory", "prod", "--unprotected", "-o", "name")
	if out != "db01\n" {
		t.Errorf("not protected: %q", out)
	}
}
