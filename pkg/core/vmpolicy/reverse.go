package vmpolicy

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

// Reverse is the job that leads back from a failover of one VM of a job: now is the UUID
// of the VM that runs since then, and old the VM that it came from, which becomes the
// replica. inv is the inventory of old's vCenter. warnings are what cannot be derived.
func Reverse(was inventory.Job, name, now string, old inventory.VM, inv inventory.Inventory) (j inventory.Job, warnings []string) {
	j = inventory.Job{Name: name,
		Source: inventory.JobSource{VMs: []inventory.Selector{{UUID: now}}, Capture: was.Source.Capture, Filter: was.Source.Filter, Quiesce: was.Source.Quiesce},
		Target: inventory.JobTarget{Suffix: was.Target.Suffix, Folder: folderOf(old, inv)},
		Checks: was.Checks}
	for _, h := range inv.Hosts {
		if h.Ref == old.Host {
			j.Target.Host = h.Path
		}
	}
	if len(old.Hardware.Disks) > 0 {
		file := baseFile(old.Hardware.Disks[0])
		for _, d := range inv.Inside(inv.DatacenterAt(old.Path)) {
			if d.Holds(file) {
				j.Target.Datastore = d.Path
			}
		}
	}
	var more []string
	j.Target.Networks, more = reverseNetworks(was.Target.Networks, old, inv)
	warnings = append(warnings, more...)
	j.Target.ReIP, more = reverseAddresses(was.Target.ReIP)
	warnings = append(append(warnings, more...), leftBehind(&j, was)...)
	return j, warnings
}

// HomeSuffix ends the name of a VM that is made for one that does not go back to the VM it
// came from.
const HomeSuffix = "-home"

// ReverseAnew is the job that leads the VM with the UUID now, which was failed over by was, to
// a new VM at a place; home says that this is the vCenter that it came from, whose networks
// and addresses are known.
func ReverseAnew(was inventory.Job, name, now string, place inventory.JobTarget, home bool, inv inventory.Inventory) (j inventory.Job, warnings []string) {
	j = inventory.Job{Name: name,
		Source: inventory.JobSource{VMs: []inventory.Selector{{UUID: now}}, Capture: was.Source.Capture, Filter: was.Source.Filter, Quiesce: was.Source.Quiesce},
		Target: place, Checks: was.Checks}
	j.Target.Suffix = cmp.Or(place.Suffix, HomeSuffix)
	j.Target.KeepMAC, j.Target.KeepUUID = place.KeepMAC || was.Target.KeepMAC, place.KeepUUID || was.Target.KeepUUID
	switch {
	case home:
		for _, n := range was.Target.Networks {
			from := path.Base(n.To)
			if slices.ContainsFunc(j.Target.Networks, func(m inventory.NetworkMap) bool { return m.From == from }) {
				continue
			}
			if to, why := inv.FindNetwork(n.From); why == "" {
				j.Target.Networks = append(j.Target.Networks, inventory.NetworkMap{From: from, To: to.Path})
			}
		}
		if len(place.ReIP) == 0 {
			j.Target.ReIP, warnings = reverseAddresses(was.Target.ReIP)
		}
	case len(was.Target.ReIP) > 0 && len(place.ReIP) == 0:
		warnings = append(warnings, "the guest keeps the addresses that it has now: which ones it needs at this site is not known: apply the job with target.reIP before it is failed over")
	}
	return j, append(warnings, leftBehind(&j, was)...)
}

// leftBehind are warnings of what of a job is known at its target only, and is left out of
// the job that leads back.
func leftBehind(j *inventory.Job, was inventory.Job) (warnings []string) {
	if j.Checks.Script != "" {
		j.Checks.Script = ""
		warnings = append(warnings, "the check script "+was.Checks.Script+" is on the transporter of the other site, and is left out")
	}
	if logins := slices.Compact(slices.Sorted(maps.Values(was.Target.Logins()))); len(logins) > 0 && len(j.Target.Logins()) == 0 {
		warnings = append(warnings, "the guest login "+strings.Join(logins, " or ")+" is of the other site: without target.guestLogin, which names one of this site, the vCenter's customization changes the addresses, which is sysprep on Windows")
	}
	if was.Source.Policy != "" {
		warnings = append(warnings, "the storage policy that attaches the I/O filter is of the other vCenter: the filter is attached without one")
	}
	return warnings
}

// folderOf is the folder of a VM; empty: the datacenter's.
func folderOf(v inventory.VM, inv inventory.Inventory) string {
	for _, f := range inv.Folders {
		if f.Path == path.Dir(v.Path) {
			return f.Path
		}
	}
	return ""
}

// reverseNetworks maps the networks of a VM's failover back to those of its cards. Where
// several networks were mapped to one, the first of the old VM's cards decides.
func reverseNetworks(maps []inventory.NetworkMap, old inventory.VM, inv inventory.Inventory) (back []inventory.NetworkMap, warnings []string) {
	for _, n := range old.Hardware.NICs {
		i := slices.IndexFunc(maps, func(m inventory.NetworkMap) bool { return m.From == n.NetName || m.From == string(n.Network) })
		if i < 0 {
			continue
		}
		m := inventory.NetworkMap{From: path.Base(maps[i].To), To: string(n.Network)}
		for _, x := range inv.Networks {
			if x.Ref == n.Network {
				m.To = x.Path
			}
		}
		at := slices.IndexFunc(back, func(x inventory.NetworkMap) bool { return x.From == m.From })
		switch {
		case at < 0:
			back = append(back, m)
		case back[at].To != m.To:
			warnings = append(warnings, fmt.Sprintf("%s was on %s, and the network %s leads back to %s: connect it after the failover home", n.Label, n.NetName, m.From, back[at].To))
		}
	}
	return back, warnings
}

// reverseAddresses changes addresses back as far as the rules say how.
func reverseAddresses(rules []inventory.ReIP) (back []inventory.ReIP, warnings []string) {
	const add = ": apply the job with target.reIP before it is failed over"
	for _, x := range rules {
		switch {
		case x.VM != "":
			warnings = append(warnings, fmt.Sprintf("network card %d of %s was given the address %s, and its address here is not known%s", x.NIC, x.VM, x.IP, add))
			continue
		case x.Gateway != "" || len(x.DNS) > 0:
			warnings = append(warnings, fmt.Sprintf("addresses of %s go back to %s, but the gateway and DNS servers of that network are not known%s", x.To, x.From, add))
		}
		back = append(back, inventory.ReIP{From: x.To, To: x.From})
	}
	return back, warnings
}

// CheckOld finds what keeps the VM that a failover came from from becoming the replica of
// now, the VM that runs since then. It must be off, with nothing in the chains of its
// disks that somebody could go back to.
func CheckOld(old, now inventory.VM) []inventory.Problem {
	var problems []inventory.Problem
	bad := func(rule, format string, args ...any) {
		problems = append(problems, inventory.Problem{VM: old.Name, UUID: old.UUID, Path: "/spec/reverses/vm", Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case old.Power != inventory.PoweredOff:
		bad("power", "the old VM %s is %s: shut it down, for it is not the one that runs since the failover", old.Path, old.Power)
	case old.Template:
		bad("template", "the old VM %s is a template", old.Path)
	case old.Ours():
		bad("reference", "the VM %s is a replica or an appliance of Tidemark already", old.Path)
	}
	if len(old.Snapshots) > 0 || old.Consolidate {
		name := "of which the vCenter only knows that they need consolidation"
		if len(old.Snapshots) > 0 {
			name = fmt.Sprintf("%q", old.Snapshots[0].Name)
		}
		bad("snapshots", "the old VM %s has snapshots (%s): remove them, for its disks are overwritten; those of Tidemark go by themselves", old.Path, name)
	}
	if _, why := OldDisks(old, now); why != "" {
		bad("disks", "%s", why)
	}
	return problems
}

// OldDisks are the disks of the VM that runs now, each with the old VM's disk at the same
// address as its replica. why is empty if all have one.
func OldDisks(old, now inventory.VM) (disks []inventory.MemberDisk, why string) {
	for _, d := range now.Hardware.Disks {
		at := now.Hardware.Address(d)
		i := slices.IndexFunc(old.Hardware.Disks, func(x inventory.Disk) bool { return old.Hardware.Address(x) == at })
		if i < 0 {
			return nil, fmt.Sprintf("the old VM %s has no disk at %s: attach one of %s there, or have a new VM made: --host or --cluster, and --datastore", old.Path, at, bytes(d.Size))
		}
		x := old.Hardware.Disks[i]
		switch {
		case x.RDM != "" || x.Sharing || strings.HasPrefix(x.Mode, "independent"):
			return nil, fmt.Sprintf("the disk of the old VM %s at %s cannot be a replica: it is a raw device, shared or independent", old.Path, at)
		case x.Size > d.Size:
			return nil, fmt.Sprintf("the disk of the old VM %s at %s has %s, more than the %s of the one that runs now: attach another", old.Path, at, bytes(x.Size), bytes(d.Size))
		}
		m := inventory.MemberDisk{Name: DiskName(at), Disk: d, Address: at, File: baseFile(x), UUID: x.UUID}
		if x.Size < d.Size {
			m.Disk.Size, m.Extend = x.Size, d.Size
		}
		disks = append(disks, m)
	}
	return disks, ""
}

// baseFile is the file of a disk below all snapshots.
func baseFile(d inventory.Disk) string {
	if n := len(d.Below); n > 0 {
		return d.Below[n-1]
	}
	return d.File
}
