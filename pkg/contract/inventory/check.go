package inventory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxDepth is how long a snapshot chain may be: vSphere's limit is 32, and ours
// needs room.
const maxDepth = 30

// Situation is all that a job on VMs is checked against.
type Situation struct {
	Job Job
	// Members are the VMs that the selectors mean, Selectors what is wrong with
	// those.
	Members   []VM
	Selectors []Problem
	Target    Inventory
	// SameVCenter: source and target are one vCenter.
	SameVCenter bool
	// Taken are VMs that other jobs protect: job by instance UUID.
	Taken map[string]string
	// Known are the groups of this job's members, by instance UUID of the source's
	// VM: a VM with that mark is theirs. Made are those whose disks are made: they
	// need no more space.
	Known map[string]string
	Made  map[string]bool
	// Replicas are the disk files of all replicas, as CleanFile writes them: the
	// group that each is of.
	Replicas map[string]string
	// JournalLimit is the most bytes a VM's journal may take, 0 for no limit;
	// JournalFree is what is free for journals, below 0 when it is not known.
	JournalLimit, JournalFree int64
	// Filters are those installed at the clusters of the source's Hosts, which are
	// those of the members; nil: not known.
	Filters []Filter
	Hosts   []Host
}

// Check finds everything that stands in the way of a job, at once. A problem
// with a VM named stops that VM only.
func Check(s Situation) []Problem {
	problems := slices.Clone(s.Selectors)
	job := func(path, rule, format string, args ...any) {
		problems = append(problems, Problem{Path: path, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	if len(s.Members) == 0 && len(s.Selectors) == 0 {
		dynamic := slices.ContainsFunc(s.Job.Source.VMs, func(x Selector) bool { return x.Folder != "" || x.Tag != "" })
		if !dynamic {
			job("/spec/source/vms", "empty", "no VM is meant")
		}
	}
	place, bad := s.Target.Resolve(s.Job.Target)
	problems = append(problems, bad...)
	problems = append(problems, checkNetworks(s.Job.Target.Networks, s.Target)...)
	problems = append(problems, checkReIP(s.Job.Target.ReIP, s.Members)...)
	if s.Target.About.ESX && len(s.Job.Target.ReIP) > 0 {
		job("/spec/target/reIP", "esx", "a single ESXi host cannot tell guests their addresses: it needs a vCenter")
	}
	problems = append(problems, checkRefs(s.Job, s.Members)...)
	problems = append(problems, checkSeeds(s)...)
	problems = append(problems, checkSpace(s, place)...)
	problems = append(problems, checkCapture(s)...)
	names := map[string]string{}
	for _, v := range s.Members {
		problems = append(problems, checkVM(s, place, v, names)...)
	}
	return problems
}

func checkVM(s Situation, place Placement, v VM, names map[string]string) []Problem {
	problems := checkDisks(s.Job, v)
	bad := func(path, rule, format string, args ...any) {
		problems = append(problems, Problem{VM: v.Name, Path: path, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	if other := s.Taken[v.UUID]; other != "" {
		bad("/spec/source/vms", "duplicate", "the job %s protects it already", other)
	}
	if v.Hardware.TPM {
		bad("/spec/source/vms", "vtpm", "it has a virtual TPM, whose content cannot be replicated")
	}
	if v.Hardware.Encrypted {
		bad("/spec/source/vms", "encrypted", "it is encrypted: a replica would lack its keys")
	}
	if v.State != "" && v.State != "connected" {
		bad("/spec/source/vms", "state", "its vCenter says that it is %s", v.State)
	}
	_, unmapped := Wire(v, s.Job.Target.Networks, s.Target)
	problems = append(problems, unmapped...)
	for _, h := range place.Hosts {
		if hwNumber(h.Newest) > 0 && hwNumber(v.Hardware.Version) > hwNumber(h.Newest) {
			bad("/spec/target", "hardware", "its hardware version %s is newer than %s, the newest of the target host %s (ESXi %s)",
				v.Hardware.Version, h.Newest, h.Name, h.Version)
		}
	}
	if s.Job.Source.Capture == "cbt" && hwNumber(v.Hardware.Version) > 0 && hwNumber(v.Hardware.Version) < 7 {
		bad("/spec/source/capture", "hardware", "its hardware version %s has no changed-block tracking: vmx-7 has", v.Hardware.Version)
	}
	name := s.Job.Target.ReplicaName(v.Name)
	if other := names[name]; other != "" {
		bad("/spec/target/suffix", "name", "the replicas of %s and %s would both be called %s: protect one of them by another job, with another target.suffix", other, v.Path, name)
	}
	names[name] = v.Path
	group := s.Known[v.UUID]
	for _, x := range s.Target.VMs {
		if x.Name == name && (group == "" || x.Mark(MarkGroup) != group) && s.Target.datacenter(x.Path) == place.Datacenter {
			bad("/spec/target/suffix", "name", "its replica would be called %s, as a VM that the target has already (%s): give another target.suffix", name, x.Path)
		}
	}
	if s.SameVCenter && v.Name == name {
		bad("/spec/target/suffix", "name", "the replica would have the VM's own name at the same vCenter: give another target.suffix")
	}
	return problems
}

// checkSpace counts the full size of disks that are still to be made: thin ones
// grow to it.
func checkSpace(s Situation, place Placement) []Problem {
	need := map[Ref]int64{}
	stores := map[Ref]Datastore{}
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
			if ds, why := s.Target.datastore(s.Job.Target.DatastoreOf(v, d), place.Hosts); why == "" {
				need[ds.Ref] += d.Size
				stores[ds.Ref] = ds
			}
		}
	}
	var problems []Problem
	for ref, n := range need {
		if ds := stores[ref]; n > ds.Free {
			problems = append(problems, Problem{Path: "/spec/target/datastore", Rule: "space",
				Text: fmt.Sprintf("the replicas' disks may grow to %s, and the datastore %s has %s free", bytes(n), ds.Name, bytes(ds.Free))})
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Text, b.Text) })
	if want := fresh * s.JournalLimit; s.JournalFree >= 0 && want > s.JournalFree {
		problems = append(problems, Problem{Path: "/spec/journal/size", Rule: "space",
			Text: fmt.Sprintf("the journals of %d VMs may grow to %s, and %s is free for journals", fresh, bytes(want), bytes(s.JournalFree))})
	}
	return problems
}

// checkCapture: a tap needs its filter on the source's hosts.
func checkCapture(s Situation) []Problem {
	j := s.Job.Source
	if j.Capture != "tap" {
		return nil
	}
	if j.Filter == "" {
		return []Problem{{Path: "/spec/source/filter", Rule: "required", Text: "capture tap needs the I/O filter that taps, by its id"}}
	}
	if s.Filters == nil {
		return nil
	}
	bad := func(rule, format string, args ...any) []Problem {
		return []Problem{{Path: "/spec/source/filter", Rule: rule, Text: fmt.Sprintf(format, args...)}}
	}
	i := slices.IndexFunc(s.Filters, func(f Filter) bool { return f.ID == j.Filter || f.Name == j.Filter })
	if i < 0 {
		var names []string
		for _, h := range s.Hosts {
			names = append(names, h.Name)
		}
		return bad("reference", "the I/O filter %q is not installed where the VMs run: %s", j.Filter, strings.Join(names, ", "))
	}
	var missing []string
	for _, h := range s.Filters[i].Hosts {
		if h.State != "installed" {
			missing = append(missing, h.Name+" ("+h.State+")")
		}
	}
	for _, h := range s.Hosts { // of a cluster that does not have the filter at all
		if !slices.ContainsFunc(s.Filters[i].Hosts, func(x FilterHost) bool { return x.Host == h.Ref }) {
			missing = append(missing, h.Name+" (missing)")
		}
	}
	if len(missing) > 0 {
		return bad("partial", "the I/O filter %s is not installed on every host where the VMs may run: %s", j.Filter, strings.Join(missing, ", "))
	}
	return nil
}

// hwNumber is 19 of vmx-19, 0 for what it cannot read.
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
