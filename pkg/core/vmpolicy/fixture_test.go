package vmpolicy_test

import (
	"strings"

	"tidemark.dev/pkg/contract/inventory"
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
