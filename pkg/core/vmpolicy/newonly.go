package vmpolicy

import (
	"reflect"

	"tidemark.dev/pkg/contract/inventory"
)

// NewOnly are the paths of the fields that differ from an earlier version of the
// job and that apply only to VMs without a replica: an existing replica is not
// moved, renamed or recreated.
func NewOnly(j, was inventory.Job) []string {
	var paths []string
	for _, f := range []struct {
		path    string
		is, was any
	}{
		{"/spec/source/excludeDisks", j.Source.ExcludeDisks, was.Source.ExcludeDisks},
		{"/spec/target/host", j.Target.Host, was.Target.Host},
		{"/spec/target/cluster", j.Target.Cluster, was.Target.Cluster},
		{"/spec/target/datastore", j.Target.Datastore, was.Target.Datastore},
		{"/spec/target/disks", j.Target.Disks, was.Target.Disks},
		{"/spec/target/folder", j.Target.Folder, was.Target.Folder},
		{"/spec/target/pool", j.Target.Pool, was.Target.Pool},
		{"/spec/target/suffix", j.Target.ReplicaName(""), was.Target.ReplicaName("")},
		{"/spec/target/seeds", j.Target.Seeds, was.Target.Seeds},
		{"/spec/target/keepMAC", j.Target.KeepMAC, was.Target.KeepMAC},
		{"/spec/target/keepUUID", j.Target.KeepUUID, was.Target.KeepUUID},
	} {
		if !reflect.DeepEqual(f.is, f.was) {
			paths = append(paths, f.path)
		}
	}
	return paths
}
