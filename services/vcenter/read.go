package vcenter

import (
	"context"
	"slices"
	"strings"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/vms"
)

func (s *Service) answerInventory(ctx context.Context, r api.InventoryRequest) (any, error) {
	inv, err := s.inventory(ctx, r.Fresh)
	if err != nil {
		return nil, err
	}
	inv.VMs = nil
	return inv, nil
}

func (s *Service) answerVMs(ctx context.Context, r api.VMsRequest) (any, error) {
	inv, err := s.inventory(ctx, false)
	if err != nil {
		return nil, err
	}
	all := slices.SortedFunc(slices.Values(inv.VMs), func(a, b vms.VM) int { return strings.Compare(a.Path, b.Path) })
	from, _ := slices.BinarySearchFunc(all, r.After, func(v vms.VM, after string) int {
		if v.Path <= after {
			return -1
		}
		return 1
	})
	page := all[from:min(from+api.VMsPage, len(all))]
	return api.VMsReply{VMs: append([]vms.VM{}, page...), More: from+len(page) < len(all)}, nil
}

func (s *Service) answerClocks(ctx context.Context, _ api.Empty) (any, error) {
	vc, err := s.deps.VCenter(ctx)
	if err != nil {
		return nil, err
	}
	at := s.deps.Clock.Now()
	hosts, err := vc.Clocks(ctx)
	return api.ClocksReply{At: at, Hosts: hosts}, err
}

func (s *Service) answerMembers(ctx context.Context, r api.MembersRequest) (any, error) {
	inv, err := s.inventory(ctx, false)
	if err != nil {
		return nil, err
	}
	site, err := s.deps.Site(ctx)
	if err != nil {
		return nil, err
	}
	own := ""
	if site.Transporter != "" {
		if v, why := inv.FindVM(site.Transporter); why == "" {
			own = v.UUID
		}
	}
	found, problems := vms.Match(inv, r.VMs, own)
	reply := api.MembersReply{About: inv.About, VMs: append([]vms.VM{}, found...), Problems: problems}
	for _, h := range inv.Hosts {
		if slices.ContainsFunc(found, func(v vms.VM) bool { return v.Host == h.Ref }) {
			reply.Hosts = append(reply.Hosts, h)
		}
	}
	return reply, nil
}
