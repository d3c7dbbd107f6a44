package vmpolicy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// maxDepth is the longest supported snapshot chain. vSphere's limit is 32, and our
// own snapshots need room.
const maxDepth = 30

// Situation is everything that a job on VMs is checked against.
type Situation struct {
	Job inventory.Job
	// Members are the selected VMs, Selectors the problems of the selectors.
	Members   []inventory.VM
	Selectors []inventory.Problem
	// Twins are the disk UUIDs that members share with each other or other VMs.
	Twins  []inventory.Twin
	Target inventory.Inventory
	// Transporter is the target site's; without a UUID: unknown.
	Transporter inventory.VM
	// SourceSlots are those of the source site's transporter; nil: unknown.
	SourceSlots *inventory.Slots
	// SameVCenter: source and target are the same vCenter.
	SameVCenter bool
	// TakesBack: the replica is the VM that the one VM of the job came from by a failover.
	// It has its name, and no other is made.
	TakesBack bool
	// Taken are the VMs that other jobs protect: the job by instance UUID.
	Taken map[string]string
	// Known are the groups of this job's members, by instance UUID of the source
	// VM: a VM with that mark is their replica. Made are those whose disks exist
	// and need no more space.
	Known map[string]string
	Made  map[string]bool
	// Replicas are the groups of all replicas' disk files, by canonical path
	// (inventory.CleanFile).
	Replicas map[string]string
	// RPO is what the job asks for. CallTime is how long the source's vCenter takes for a
	// call, 0 if unknown. Others are the VMs of other jobs that the source makes passes for.
	RPO, CallTime time.Duration
	Others        []Load
	// JournalLimit is the size limit of one VM's journal in bytes, 0 for none.
	// JournalFree are the bytes free for journals, below 0 if unknown.
	JournalLimit, JournalFree int64
	// Filters are the I/O filters on the clusters of Hosts, the source hosts that
	// the members run on; nil: unknown.
	Filters []inventory.Filter
	Hosts   []inventory.Host
}

// Check finds all problems of a job at once. A problem that names a VM blocks
// that VM only.
func Check(s Situation) []inventory.Problem {
	problems := slices.Clone(s.Selectors)
	job := func(path, rule, format string, args ...any) {
		problems = append(problems, inventory.Problem{Path: path, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	if len(s.Members) == 0 && len(s.Selectors) == 0 {
		dynamic := slices.ContainsFunc(s.Job.Source.VMs, func(x inventory.Selector) bool { return x.Folder != "" || x.Tag != "" })
		if !dynamic {
			job("/spec/source/vms", "empty", "the job selects no VM")
		}
	}
	place, bad := Place(s.Target, s.Job.Target)
	problems = append(problems, bad...)
	if t := s.Transporter; t.UUID != "" && place.Datacenter != "" && s.Target.DatacenterAt(t.Path) != place.Datacenter {
		job("/spec/target/datastore", "datacenter", "the datastore %s is in another datacenter than the transporter %s: disks can be attached within a datacenter only", place.Home.Path, t.Path)
	}
	problems = append(problems, checkNetworks(s.Job.Target.Networks, s.Target, place.Datacenter)...)
	problems = append(problems, checkReIP(s.Job.Target, s.Members)...)
	if s.Target.About.ESX && len(s.Job.Target.ReIP) > 0 && slices.ContainsFunc(s.Members, func(v inventory.VM) bool { return s.Job.Target.LoginOf(v.Name) == "" }) {
		job("/spec/target/reIP", "esx", "a single ESXi host cannot configure guest addresses: reIP needs a vCenter, or target.guestLogin")
	}
	problems = append(problems, checkRefs(s.Job, s.Members)...)
	problems = append(problems, checkSeeds(s, place.Datacenter)...)
	problems = append(problems, checkSpace(s, place)...)
	problems = append(problems, checkSlots(s)...)
	problems = append(problems, checkSourceSlots(s)...)
	problems = append(problems, checkCapture(s)...)
	problems = append(problems, checkPace(s)...)
	names := map[string]string{}
	for _, v := range s.Members {
		blocked := false
		for _, p := range append(checkVM(s, place, v, names), checkFailover(s.Job, v)...) {
			p.UUID = v.UUID
			blocked = blocked || !p.Warning
			problems = append(problems, p)
		}
		if !blocked { // a refused VM takes no name from another
			names[s.Job.Target.ReplicaName(v.Name)] = v.Path
		}
	}
	return problems
}

func checkVM(s Situation, place Placement, v inventory.VM, names map[string]string) []inventory.Problem {
	problems := slices.Concat(checkDisks(s.Job, v), checkTwins(s, v), checkDatastoreNames(s.Job, v))
	bad := func(path, rule, format string, args ...any) {
		problems = append(problems, inventory.Problem{VM: v.Name, Path: path, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	if other := s.Taken[v.UUID]; other != "" {
		bad("/spec/source/vms", "duplicate", "the job %s already protects it", other)
	}
	if v.Hardware.TPM {
		bad("/spec/source/vms", "vtpm", "it has a virtual TPM, whose content cannot be replicated")
	}
	if v.Hardware.Encrypted {
		bad("/spec/source/vms", "encrypted", "it is encrypted: a replica would lack its keys")
	}
	if v.State != "" && v.State != "connected" {
		bad("/spec/source/vms", "state", "its state at the vCenter is %s", v.State)
	}
	_, unmapped := Wire(v, s.Job.Target.Networks, s.Target)
	problems = append(problems, unmapped...)
	for _, h := range place.Hosts {
		if hwNumber(h.Newest) > 0 && hwNumber(v.Hardware.Version) > hwNumber(h.Newest) {
			bad("/spec/target", "hardware", "its hardware version %s is newer than %s, the newest of the target host %s (ESXi %s)",
				v.Hardware.Version, h.Newest, h.Name, h.Version)
		}
	}
	if s.Job.Source.Capture == cdp.CBT && hwNumber(v.Hardware.Version) > 0 && hwNumber(v.Hardware.Version) < 7 {
		bad("/spec/source/capture", "hardware", "its hardware version %s has no changed-block tracking: it needs vmx-7 or newer", v.Hardware.Version)
	}
	if s.Job.Source.Capture == cdp.CBT && !v.Tracking && len(v.Snapshots) > 0 {
		problems = append(problems, inventory.Problem{VM: v.Name, Path: "/spec/source/capture", Rule: "tracking", Warning: true,
			Text: fmt.Sprintf("it has snapshots (%q), and changed-block tracking is off: until they are removed, the vCenter does not know all changes, and every pass compares whole disks", v.Snapshots[0].Name)})
	}
	if len(v.BootOrder) > 0 {
		problems = append(problems, inventory.Problem{VM: v.Name, Path: "/spec/source/vms", Rule: "boot-order", Warning: true,
			Text: fmt.Sprintf("its boot order (%s) is not copied: its replica boots from its first disk. Check in a test failover that it starts", strings.Join(v.BootOrder, ", "))})
	}
	if s.TakesBack {
		return problems
	}
	name := s.Job.Target.ReplicaName(v.Name)
	if other := names[name]; other != "" {
		bad("/spec/target/suffix", "name", "the replicas of %s and %s would both be called %s: protect one of them with another job that has another target.suffix", other, v.Path, name)
	}
	group := s.Known[v.UUID]
	for _, x := range s.Target.VMs {
		if x.Name == name && (group == "" || x.Mark(inventory.MarkGroup) != group) && s.Target.DatacenterAt(x.Path) == place.Datacenter {
			bad("/spec/target/suffix", "name", "its replica would be called %s, like an existing VM at the target (%s): choose another target.suffix", name, x.Path)
		}
	}
	if s.SameVCenter && v.Name == name {
		bad("/spec/target/suffix", "name", "its replica would have the VM's own name at the same vCenter: choose another target.suffix")
	}
	return problems
}

// checkSpace counts the full size of the disks that are not made yet: thin disks
// may grow to it.
func checkSpace(s Situation, place Placement) []inventory.Problem {
	need := map[inventory.Ref]int64{}
	stores := map[inventory.Ref]inventory.Datastore{}
	fresh := int64(0)
	for _, v := range s.Members {
		if s.Made[v.UUID] {
			continue
		}
		fresh++
		for _, d := range s.Job.Source.Chosen(v) {
			if s.Job.Target.SeedOf(v, d) != "" {
				continue
			}
			if ds, why := mounted(s.Target, s.Job.Target.DatastoreOf(v, d), place.Hosts); why == "" {
				need[ds.Ref] += d.Size
				stores[ds.Ref] = ds
			}
		}
	}
	var problems []inventory.Problem
	for ref, n := range need {
		if ds := stores[ref]; n > ds.Free {
			problems = append(problems, inventory.Problem{Path: "/spec/target/datastore", Rule: "space",
				Text: fmt.Sprintf("the replicas' disks may grow to %s, but the datastore %s has %s free", bytes(n), ds.Name, bytes(ds.Free))})
		}
	}
	slices.SortFunc(problems, func(a, b inventory.Problem) int { return strings.Compare(a.Text, b.Text) })
	if want := fresh * s.JournalLimit; s.JournalFree >= 0 && want > s.JournalFree {
		problems = append(problems, inventory.Problem{Path: "/spec/journal/size", Rule: "space",
			Text: fmt.Sprintf("the journals of %d VMs may grow to %s, but %s is free for journals", fresh, bytes(want), bytes(s.JournalFree))})
	}
	return problems
}

// checkCapture finds source hosts without the I/O filter that a tap needs.
func checkCapture(s Situation) []inventory.Problem {
	j := s.Job.Source
	if j.Capture != cdp.Tap {
		return nil
	}
	if j.Filter == "" {
		return []inventory.Problem{{Path: "/spec/source/filter", Rule: "required", Text: "capture tap needs the id of the I/O filter"}}
	}
	if s.Filters == nil {
		return nil
	}
	bad := func(rule, format string, args ...any) []inventory.Problem {
		return []inventory.Problem{{Path: "/spec/source/filter", Rule: rule, Text: fmt.Sprintf(format, args...)}}
	}
	i := slices.IndexFunc(s.Filters, func(f inventory.Filter) bool { return f.ID == j.Filter || f.Name == j.Filter })
	if i < 0 {
		var names []string
		for _, h := range s.Hosts {
			names = append(names, h.Name)
		}
		return bad("reference", "the I/O filter %q is not installed on the hosts of the VMs: %s", j.Filter, strings.Join(names, ", "))
	}
	var missing []string
	for _, h := range s.Filters[i].Hosts {
		if h.State != inventory.FilterInstalled {
			missing = append(missing, h.Name+" ("+string(h.State)+")")
		}
	}
	for _, h := range s.Hosts { // of a cluster without the filter
		if !slices.ContainsFunc(s.Filters[i].Hosts, func(x inventory.FilterHost) bool { return x.Host == h.Ref }) {
			missing = append(missing, h.Name+" (missing)")
		}
	}
	if len(missing) > 0 {
		return bad("partial", "the I/O filter %s is not installed on every host that the VMs may run on: %s", j.Filter, strings.Join(missing, ", "))
	}
	return nil
}

// hwNumber is 19 of vmx-19; 0 if it is not a version.
func hwNumber(v string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(v, "vmx-"))
	return n
}

func bytes(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return strconv.FormatFloat(f, 'f', min(i, 1), 64) + " " + units[i]
}
