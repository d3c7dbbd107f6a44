package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// rawVMs is what the source of a job on VMs has beside site and capture.
type rawVMs struct {
	// VMs is nil in a job of disks.
	VMs          json.RawMessage     `json:"vms"`
	ExcludeDisks []inventory.DiskRef `json:"excludeDisks"`
	Filter       string              `json:"filter"`
	Policy       string              `json:"policy"`
	Quiesce      bool                `json:"quiesce"`
}

// rawPlace is what the target of a job on VMs has beside site and disks.
type rawPlace struct {
	Host        string                 `json:"host"`
	Cluster     string                 `json:"cluster"`
	Datastore   string                 `json:"datastore"`
	Folder      string                 `json:"folder"`
	Pool        string                 `json:"pool"`
	Suffix      string                 `json:"suffix"`
	Networks    []inventory.NetworkMap `json:"networks"`
	ReIP        []inventory.ReIP       `json:"reIP"`
	Seeds       []inventory.Seed       `json:"seeds"`
	KeepMAC     bool                   `json:"keepMAC"`
	KeepUUID    bool                   `json:"keepUUID"`
	GuestLogin  string                 `json:"guestLogin"`
	GuestLogins []inventory.VMLogin    `json:"guestLogins"`
}

// rawChecks are checks as they are written.
type rawChecks struct {
	Tools   bool   `json:"tools"`
	Ping    bool   `json:"ping"`
	Ports   []int  `json:"ports"`
	Script  string `json:"script"`
	Timeout string `json:"timeout"`
}

// onlyVMs says for each field that is for VMs why a job of disks cannot have it.
func (c *checker) onlyVMs(raw rawJob) {
	for i, p := range c.problems {
		if p.Rule == "false" {
			c.problems[i].Text = "is for source.vms only: this job is of disks"
		}
	}
}

// vmJob reads a job on VMs.
func (c *checker) vmJob(raw rawJob) *VMJob {
	src, tgt := raw.Spec.Source, raw.Spec.Target
	j := &VMJob{
		Job: inventory.Job{
			Name: raw.Metadata.Name,
			Source: inventory.JobSource{Capture: src.Capture, ExcludeDisks: src.ExcludeDisks,
				Filter: src.Filter, Policy: src.Policy, Quiesce: src.Quiesce},
			Target: inventory.JobTarget{Host: tgt.Host, Cluster: tgt.Cluster, Datastore: tgt.Datastore, Folder: tgt.Folder, Pool: tgt.Pool,
				Suffix: tgt.Suffix, Networks: tgt.Networks, ReIP: tgt.ReIP, Seeds: tgt.Seeds, KeepMAC: tgt.KeepMAC, KeepUUID: tgt.KeepUUID, GuestLogin: tgt.GuestLogin, GuestLogins: tgt.GuestLogins},
			Checks: c.checks(raw.Spec.Checks),
		},
		SourceSite: src.Site, TargetSite: tgt.Site,
		Journal: c.journal(raw), Failover: c.failover(raw), Reverses: raw.Spec.Reverses,
	}
	_ = json.Unmarshal(src.VMs, &j.Source.VMs) // as the document
	if j.Target.Suffix == "" {
		j.Target.Suffix = DefaultSuffix
	}
	c.capture(raw)
	if src.Capture == cdp.CBT {
		j.RPO, j.FailIfRPOExceeds = c.rpo(raw, DefaultCBTRPO, MinCBTRPO, ": with capture cbt every recovery point costs the VM a snapshot")
	} else {
		j.RPO, j.FailIfRPOExceeds = c.rpo(raw, DefaultRPO, MinRPO, "")
	}
	c.selectors(j.Source.VMs)
	c.reversesVM(j)
	excluded := c.diskRefs("/spec/source/excludeDisks", j.Source.ExcludeDisks)
	c.place(raw, j, excluded)
	c.networks(j.Target.Networks)
	c.reIP(j.Target.ReIP)
	c.logins(j.Target)
	return j
}

// logins checks the names of logins at guests.
func (c *checker) logins(t inventory.JobTarget) {
	logins := t.Logins()
	for _, field := range slices.Sorted(maps.Keys(logins)) {
		at := "/spec/target/" + field
		c.when(at, len(t.ReIP) == 0, "there is no reIP: nothing is changed in the guests")
		if err := cdp.CheckName("guestLogin", logins[field]); err != nil {
			c.bad(at, "name", "%v", err)
		}
	}
	first := map[string]int{}
	for i, x := range t.GuestLogins {
		at := "/spec/target/guestLogins/" + itoa(i) + "/vm"
		c.text(at, x.VM)
		if k, twice := first[x.VM]; twice {
			c.bad(at, "unique", "%s already has a login by guestLogins %d", x.VM, k)
		} else {
			first[x.VM] = i
		}
	}
}

// capture checks which fields are allowed with which way of capture.
func (c *checker) capture(raw rawJob) {
	in := raw.Spec.Source
	const at = "/spec/source"
	c.badIf(at+"/disks", in.Disks != nil, "use either disks or vms, not both")
	c.badIf(at+"/listen", in.Listen != "", "is for disks only: for VMs the address is configured through the vCenter")
	switch in.Capture {
	case cdp.Inline:
		c.reword(at+"/capture", "enum", "", "inline is not possible for VMs, whose disks are on a datastore: use tap or cbt, or disks instead of vms")
	case cdp.Tap:
		c.badIf(at+"/quiesce", in.Quiesce, "is for capture cbt only: a tap takes no snapshots")
	case cdp.CBT:
		c.badIf(at+"/filter", in.Filter != "", "is for capture tap only: cbt needs no I/O filter")
		c.badIf(at+"/policy", in.Policy != "", "is for capture tap only: cbt needs no I/O filter")
	}
	c.text(at+"/filter", in.Filter)
	c.text(at+"/policy", in.Policy)
}

// badIf reports a problem if it is one.
func (c *checker) badIf(path string, is bool, text string) {
	if is {
		c.bad(path, "capture", "%s", text)
	}
}

var uuidRE = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// selectors checks them, and writes UUIDs as a vCenter does.
func (c *checker) selectors(list []inventory.Selector) {
	seen := map[string]int{}
	for i := range list {
		s, at := &list[i], "/spec/source/vms/"+itoa(i)
		s.UUID = strings.ToLower(s.UUID)
		var set []string
		key := ""
		for _, f := range []struct{ name, value string }{{"name", s.Name}, {"path", s.Path}, {"uuid", s.UUID}, {"folder", s.Folder}, {"tag", s.Tag}} {
			if f.value != "" {
				set, key = append(set, f.name), f.name+" "+f.value
				c.text(at+"/"+f.name, f.value)
			}
		}
		switch {
		case len(set) == 0:
			c.bad(at, "either", "no VM given: use exactly one of name, path, uuid, folder and tag")
			continue
		case len(set) > 1:
			c.bad(at, "either", "use exactly one of name, path, uuid, folder and tag, not %s", strings.Join(set, " and "))
			continue
		}
		if first, twice := seen[key]; twice {
			c.bad(at+"/"+set[0], "unique", "%s is already selected by vms %d", strings.TrimPrefix(key, set[0]+" "), first)
		} else {
			seen[key] = i
		}
		switch {
		case s.Path != "":
			c.inventoryPath(at+"/path", s.Path)
		case strings.HasPrefix(s.Folder, "/"):
			c.inventoryPath(at+"/folder", s.Folder)
		case s.UUID != "" && !uuidRE.MatchString(s.UUID):
			c.bad(at+"/uuid", "uuid", "%q is not a UUID: write the VM's instance UUID, as 503e115f-0c9a-7721-d04b-88126faa5d03", s.UUID)
		case s.Tag != "":
			if cat, name, _ := strings.Cut(s.Tag, "/"); cat == "" || name == "" {
				c.bad(at+"/tag", "tag", "%q: write category/name", s.Tag)
			}
		}
		if len(s.Exclude) > 0 && s.Folder == "" && s.Tag == "" {
			c.bad(at+"/exclude", "either", "is for folder or tag only: a %s selects one VM", set[0])
		}
		for k, name := range s.Exclude {
			if slices.Index(s.Exclude, name) < k {
				c.bad(at+"/exclude/"+itoa(k), "unique", "%q is excluded twice", name)
			}
		}
	}
}

func (c *checker) inventoryPath(at, p string) {
	if !strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || strings.Contains(p, "//") {
		c.bad(at, "path", "%q is not an inventory path: write it as /datacenter/vm/folder/name", p)
	}
}

// diskRefs checks disks, and gives the index of each.
func (c *checker) diskRefs(at string, refs []inventory.DiskRef) map[inventory.DiskRef]int {
	seen := map[inventory.DiskRef]int{}
	for i, r := range refs {
		if r.Disk == "" {
			continue
		}
		c.diskRef(at+"/"+itoa(i), r)
		if first, twice := seen[r]; twice {
			c.bad(at+"/"+itoa(i)+"/disk", "unique", "%s is already listed at %d", refText(r), first)
			continue
		}
		seen[r] = i
	}
	return seen
}

var (
	busRE     = regexp.MustCompile(`(?i)^(scsi|nvme|sata|ide)`)
	addressRE = regexp.MustCompile(`^(scsi|nvme|sata|ide)[0-9]:[0-9]{1,2}$`)
)

func (c *checker) diskRef(at string, r inventory.DiskRef) {
	c.text(at+"/vm", r.VM)
	c.text(at+"/disk", r.Disk)
	if busRE.MatchString(r.Disk) && !addressRE.MatchString(r.Disk) {
		c.bad(at+"/disk", "address", "%q: write an address, as scsi0:1, or a label, as Hard disk 2", r.Disk)
	}
}

func refText(r inventory.DiskRef) string {
	if r.VM == "" {
		return fmt.Sprintf("the disk %q of every VM", r.Disk)
	}
	return fmt.Sprintf("the disk %q of %s", r.Disk, r.VM)
}
