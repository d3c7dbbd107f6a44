package spec

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/inventory"
)

var diskFileRE = regexp.MustCompile(`^\[[^\[\]]+\] [^/ ][^\\]*\.vmdk$`)

// place checks where the replicas of VMs are put. excluded are the disks without one.
func (c *checker) place(raw rawJob, j *VMJob, excluded map[inventory.DiskRef]int) {
	const at = "/spec/target"
	in := raw.Spec.Target
	switch {
	case in.Host == "" && in.Cluster == "":
		c.bad(at, "either", "no place given for the replicas: use host or cluster")
	case in.Host != "" && in.Cluster != "":
		c.bad(at+"/cluster", "either", "use either host or cluster, not both")
	}
	for _, f := range []struct{ name, value string }{{"host", in.Host}, {"cluster", in.Cluster}, {"datastore", in.Datastore}, {"folder", in.Folder}, {"pool", in.Pool}} {
		c.text(at+"/"+f.name, f.value)
		if strings.HasPrefix(f.value, "/") {
			c.inventoryPath(at+"/"+f.name, f.value)
		}
	}
	var placed, seeded []inventory.DiskRef
	for i, d := range in.Disks {
		c.badIf(at+"/disks/"+itoa(i)+"/name", d.Name != "", "is for source.disks only: for a VM use vm and disk")
		c.badIf(at+"/disks/"+itoa(i)+"/path", d.Path != "", "is for source.disks only: for a VM use datastore")
		c.text(at+"/disks/"+itoa(i)+"/datastore", d.Datastore)
		placed = append(placed, d.DiskRef)
		j.Target.Disks = append(j.Target.Disks, d.DiskPlace)
	}
	c.replicated(at+"/disks", c.diskRefs(at+"/disks", placed), excluded)
	files := map[string]int{}
	for i, s := range in.Seeds {
		here := at + "/seeds/" + itoa(i)
		if s.VM == "" && !oneVM(j.Source.VMs) {
			c.bad(here, "required", "vm is missing: a seed is for one VM's disk")
		}
		if s.File != "" && !diskFileRE.MatchString(s.File) {
			c.bad(here+"/file", "file", "%q: write [datastore] folder/name.vmdk", s.File)
		}
		if first, twice := files[s.File]; twice && s.File != "" {
			c.bad(here+"/file", "unique", "%s is already used by seed %d", s.File, first)
		} else {
			files[s.File] = i
		}
		seeded = append(seeded, s.DiskRef)
	}
	c.replicated(at+"/seeds", c.diskRefs(at+"/seeds", seeded), excluded)
}

// replicated refuses what is said of disks that have no replica.
func (c *checker) replicated(at string, refs, excluded map[inventory.DiskRef]int) {
	inOrder := slices.SortedFunc(maps.Keys(refs), func(a, b inventory.DiskRef) int { return refs[a] - refs[b] })
	for _, r := range inOrder {
		n, out := excluded[r]
		if !out {
			n, out = excluded[inventory.DiskRef{Disk: r.Disk}]
		}
		if out {
			c.bad(at+"/"+itoa(refs[r])+"/disk", "reference", "%s has no replica: it is excluded by source.excludeDisks %d", refText(r), n)
		}
	}
}

// oneVM reports whether selectors mean exactly one VM.
func oneVM(list []inventory.Selector) bool {
	return len(list) == 1 && list[0].Folder == "" && list[0].Tag == ""
}

func (c *checker) networks(list []inventory.NetworkMap) {
	seen := map[string]int{}
	for i, n := range list {
		at := "/spec/target/networks/" + itoa(i)
		if first, twice := seen[n.From]; twice && n.From != "" {
			c.bad(at+"/from", "unique", "%q is already mapped by networks %d", n.From, first)
		} else {
			seen[n.From] = i
		}
		c.text(at+"/from", n.From)
		c.text(at+"/to", n.To)
		c.text(at+"/test", n.Test)
		if n.Test != "" && n.Test == n.To {
			c.bad(at+"/test", "isolated", "%q is a production network, which a test must not reach: use an isolated one, or leave it out to test disconnected", n.Test)
		}
	}
}

func (c *checker) checks(in rawChecks) inventory.Checks {
	const at = "/spec/checks"
	out := inventory.Checks{Tools: in.Tools, Ping: in.Ping, Ports: in.Ports, Script: in.Script}
	for i, p := range in.Ports {
		if slices.Index(in.Ports, p) < i {
			c.bad(at+"/ports/"+itoa(i), "unique", "%d is checked twice", p)
		}
	}
	c.absolute(at+"/script", in.Script)
	d := c.duration(at+"/timeout", in.Timeout, Duration(DefaultCheckTimeout)).Std()
	if d < MinCheckTimeout || d > MaxCheckTimeout {
		c.bad(at+"/timeout", "range", "%s: must be from %s to %s", Duration(d), Duration(MinCheckTimeout), Duration(MaxCheckTimeout))
	}
	if out.Tools || out.Ping || len(out.Ports) > 0 || out.Script != "" || in.Timeout != "" {
		out.Timeout = time.Duration(d)
	}
	return out
}
