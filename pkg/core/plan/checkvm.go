package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// VMFacts is what is known of replica VMs, and of the vCenter where they are.
type VMFacts struct {
	// VMs are the VMs of the jobs that have one, and their replicas, by job.
	VMs map[string]inventory.Member
	// Addresses are those in use at this site's vCenter.
	Addresses []Address
	// Obstacles are what the check of a job on VMs finds, by the name of that job.
	Obstacles map[string][]inventory.Problem
	// Slots is how many more disks the site's transporter can have; below 0: not known.
	Slots int
	// Free is how many bytes are free, by datastore. It changes all the time, so it is
	// no part of what a check is bound to.
	Free map[string]int64 `json:"-"`
}

// Address is an IP address of a VM.
type Address struct {
	IP   string
	VM   string // its name
	UUID string // its instance UUID
}

// toVM reports whether an action brings up a replica VM.
func (c *checker) toVM(a spec.Action) bool {
	f := a.Failover
	return f != nil && (f.To == recovery.ToVM || f.To == "" && f.Listen == "" && c.facts.Jobs[f.Job].VM)
}

// replica checks the replica VM of a failover, if it has one.
func (c *checker) replica(i int, a spec.Action) {
	m, known := c.facts.VMs[a.Job()]
	if !known || !c.toVM(a) {
		return
	}
	switch m.State {
	case inventory.Preparing, inventory.Refused:
		c.bad("vm", "the VM %s has no replica that could be started: it is %s", m.VM.Name, m.State)
		return
	}
	if m.Trouble != "" {
		c.warn("vm", "the replica of %s is in trouble: %s", m.VM.Name, m.Trouble)
	}
	for _, n := range m.VM.Hardware.NICs {
		if _, wired := m.Networks[n.Key]; !wired {
			c.bad("network", "%s of %s is on the network %q, which the job maps to no network of site %s: add it under target.networks", n.Label, m.VM.Name, n.NetName, c.plan.Site)
		}
	}
	c.clashes(i, a, m)
	c.obstacles(a, m)
}

// addresses are the addresses that a replica gets in production: those of its rules,
// else those that its guest has set itself.
func addresses(m inventory.Member) (out []string) {
	if m.Identity != nil {
		for _, n := range m.Identity.NICs {
			if n.IP != "" {
				out = append(out, n.IP)
			}
			out = append(out, plainIPs(n.IPv6)...)
		}
		return out
	}
	for _, n := range m.VM.Guest.NICs {
		if !n.DHCP {
			out = append(out, plainIPs(n.IPs)...)
		}
	}
	return out
}

// AddressesOf are the addresses of VMs that are on.
func AddressesOf(vms []inventory.VM) (out []Address) {
	for _, v := range vms {
		for _, n := range v.Guest.NICs {
			for _, ip := range plainIPs(n.IPs) {
				if v.Power == inventory.PoweredOn {
					out = append(out, Address{IP: ip, VM: v.Name, UUID: v.UUID})
				}
			}
		}
	}
	return out
}

// plainIPs are addresses in CIDR notation without their prefixes, but for those that
// are good on their own link only.
func plainIPs(cidrs []string) (out []string) {
	for _, s := range cidrs {
		if p, err := netip.ParsePrefix(s); err == nil && !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsLoopback() {
			out = append(out, p.Addr().String())
		}
	}
	return out
}

// clashes finds addresses that another VM has, or gets in the same run.
func (c *checker) clashes(i int, a spec.Action, m inventory.Member) {
	for _, ip := range addresses(m) {
		for _, b := range c.plan.Actions[i+1:] {
			other, known := c.facts.VMs[b.Job()]
			if known && b.Job() != a.Job() && together(a, b) && c.toVM(b) && slices.Contains(addresses(other), ip) {
				c.bad("address", "%s gets the address %s, and so does %s by %s: change the job's reIP rules", m.VM.Name, ip, other.VM.Name, b.Name)
			}
		}
		for _, used := range c.facts.Addresses {
			if used.IP == ip && used.UUID != m.VM.UUID && used.UUID != m.ReplicaUUID && a.Mode.In(recovery.Production) {
				c.bad("address", "%s gets the address %s, which the VM %s at site %s has: change the job's reIP rules", m.VM.Name, ip, used.VM, c.plan.Site)
			}
		}
	}
}

// obstacles adds what the check of the job on VMs says about room and networks for this
// VM, or for the job as a whole.
func (c *checker) obstacles(a spec.Action, m inventory.Member) {
	of := c.facts.Jobs[a.Job()].Of
	for _, p := range c.facts.Obstacles[of] {
		if p.UUID != "" && p.UUID != m.VM.UUID {
			continue
		}
		c.about = of + " " + p.Path + " " + p.Rule
		said := slices.ContainsFunc(c.found, func(f api.PlanFinding) bool { return f.About == c.about && p.UUID == "" })
		switch {
		case said:
		case p.Rule == "space" || p.Rule == "slots":
			c.warn("capacity", "its job %s: %s", of, p.Text)
		case p.Rule == "reference" || p.Rule == "datacenter":
			c.bad("place", "its job %s: %s: %s", of, p.Path, p.Text)
		}
		c.about = ""
	}
}

// room checks what the test failovers of a run need together: slots of the transporter
// while their disks are filled, and room on the datastores until the clean-up.
func (c *checker) room() {
	need := map[string]int64{}
	for _, level := range levels(c.plan) {
		slots := 0
		for _, a := range level {
			m, known := c.facts.VMs[a.Job()]
			if !known || !c.toVM(a) || !a.Mode.In(recovery.Test) {
				continue
			}
			slots += len(m.Disks)
			for _, d := range m.Disks {
				need[inventory.DatastoreName(d.File)] += d.Disk.Size
			}
		}
		if c.facts.Slots >= 0 && slots > c.facts.Slots && len(c.facts.VMs) > 0 {
			c.about = "slots " + level[0].Name
			c.warn("capacity", "in a test, %s and what runs beside it need %d slots for disks at once, and the transporter of site %s has %d free: let some wait with after", level[0].Name, slots, c.plan.Site, c.facts.Slots)
		}
	}
	for _, ds := range slices.Sorted(maps.Keys(need)) {
		if free, known := c.facts.Free[ds]; known && need[ds] > free {
			c.about = "room " + ds
			c.warn("capacity", "in a test, the disks of its VMs may grow to %s on the datastore %s, which has %s free", gib(need[ds]), ds, gib(free))
		}
	}
	c.about = ""
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
