package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// check handles api.VCenterCheck: whether the site can do what it is used for, and
// which privileges it lacks for more.
func (q *siteQueries) check(ctx context.Context, r api.CheckRequest) (any, error) {
	vc, err := q.connect(ctx)
	if err != nil {
		return nil, err
	}
	inv, err := q.cache.fresh(ctx)
	if err != nil {
		return nil, err
	}
	reply := api.SiteCheck{About: inv.About, Lacks: []inventory.Missing{}}
	roles := []inventory.Role{inventory.AsSource, inventory.AsTarget, inventory.ForAppliance, inventory.ForGuests}
	if !inv.About.ESX {
		roles = append(roles, inventory.ForFilter)
	}
	used := append([]inventory.Role{inventory.Every}, r.For...)
	if slices.ContainsFunc(inv.VMs, func(v inventory.VM) bool { return v.Mark(inventory.MarkTransporter) != "" }) {
		used = append(used, inventory.ForAppliance)
	}
	lacks, err := vc.Lacks(ctx, vmpolicy.Privileges(roles...))
	if err != nil {
		return nil, err
	}
	for _, m := range lacks {
		if len(r.For) == 0 || slices.ContainsFunc(m.Roles, func(x inventory.Role) bool { return slices.Contains(used, x) }) {
			reply.Lacks = append(reply.Lacks, m)
		} else {
			reply.Later = append(reply.Later, m)
		}
	}
	v, err := q.hotadd.transporter(ctx, vc)
	if err != nil {
		text := err.Error()
		if hint := cdp.HintOf(err); hint != "" {
			text += ": " + hint
		}
		reply.Problems = append(reply.Problems, text)
		return reply, nil
	}
	a := appliance(v, inv)
	if a.Name == "" {
		a.Name = v.Name
	}
	reply.Transporter = &a
	reply.Problems = append(reply.Problems, unfitTransporter(v, inv)...)
	return reply, nil
}

// unfitTransporter are the reasons why disks cannot be attached to a VM, or not be
// found there.
func unfitTransporter(v inventory.VM, inv inventory.Inventory) []string {
	var out []string
	bad := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("the transporter %s ", v.Name)+fmt.Sprintf(format, args...))
	}
	if v.Power != inventory.PoweredOn {
		bad("is not powered on")
	}
	set := func(key string) string {
		for k, x := range v.Hardware.Extra {
			if strings.EqualFold(k, key) {
				return x
			}
		}
		return ""
	}
	if !strings.EqualFold(set("disk.EnableUUID"), "TRUE") {
		bad("hides the UUIDs of disks from its guest: set the advanced setting disk.EnableUUID to TRUE while it is off")
	}
	if !slices.ContainsFunc(v.Hardware.Controllers, func(c inventory.Controller) bool { return c.Kind == "pvscsi" }) {
		bad("has no paravirtual SCSI controller, so disks cannot be attached while it runs")
	}
	for _, d := range inv.Datastores {
		if d.Accessible && !slices.Contains(d.Hosts, v.Host) {
			bad("runs on a host without the datastore %s: disks on it cannot be attached", d.Name)
		}
	}
	return out
}
