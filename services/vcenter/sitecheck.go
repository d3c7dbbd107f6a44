package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/vms"
)

// answerCheck says whether this site can do what it must: as a source and as a
// target.
func (s *Service) answerCheck(ctx context.Context, _ api.Empty) (any, error) {
	vc, err := s.vcenter(ctx)
	if err != nil {
		return nil, err
	}
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return nil, err
	}
	reply := api.SiteCheck{About: inv.About}
	roles := []vms.Role{vms.AsSource, vms.AsTarget, vms.ForAppliance}
	if !inv.About.ESX {
		roles = append(roles, vms.ForFilter)
	}
	lacks, err := vc.Lacks(ctx, vms.Privileges(roles...))
	if err != nil {
		return nil, err
	}
	reply.Lacks = append([]vms.Missing{}, lacks...)
	v, err := s.transporter(ctx, vc)
	if err != nil {
		reply.Problems = append(reply.Problems, err.Error())
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

// unfitTransporter is why disks cannot be attached to a VM and found there.
func unfitTransporter(v vms.VM, inv vms.Inventory) []string {
	var out []string
	bad := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("the transporter %s ", v.Name)+fmt.Sprintf(format, args...))
	}
	if v.Power != "on" {
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
		bad("does not tell its guest the disks' UUIDs: set the advanced setting disk.EnableUUID to TRUE while it is off")
	}
	if !slices.ContainsFunc(v.Hardware.Controllers, func(c vms.Controller) bool { return c.Kind == "pvscsi" }) {
		bad("has no paravirtual SCSI controller, to which disks can be attached while it runs")
	}
	for _, d := range inv.Datastores {
		if d.Accessible && !slices.Contains(d.Hosts, v.Host) {
			bad("runs on a host that does not have the datastore %s: disks there cannot be attached to it", d.Name)
		}
	}
	return out
}
