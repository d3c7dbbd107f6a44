package vcenter

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
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
	inv, err := s.inventory(ctx, r.Fresh)
	if err != nil {
		return nil, err
	}
	page, more := pageOf(inv.VMs, r.After, func(v inventory.VM) string { return v.Path })
	return api.VMsReply{VMs: page, More: more}, nil
}

// pageBytes is how much a page of VMs may have, as JSON: it must fit into a
// message, however many disks and settings they have.
const pageBytes = 700 << 10

// pageOf gives the VMs behind a key, by key, as many as an answer may hold.
func pageOf(all []inventory.VM, after string, key func(inventory.VM) string) (page []inventory.VM, more bool) {
	page = []inventory.VM{}
	size := 0
	for _, v := range slices.SortedFunc(slices.Values(all), func(a, b inventory.VM) int { return strings.Compare(key(a), key(b)) }) {
		if key(v) <= after {
			continue
		}
		raw, _ := json.Marshal(v) // it is plain values
		size += len(raw)
		if len(page) == api.VMsPage || len(page) > 0 && size > pageBytes {
			return page, true
		}
		page = append(page, v)
	}
	return page, false
}

func (s *Service) answerClocks(ctx context.Context, _ api.Empty) (any, error) {
	vc, err := s.vcenter(ctx)
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
	found, problems := vmpolicy.Match(inv, r.VMs, own)
	reply := api.MembersReply{About: inv.About}
	reply.VMs, reply.More = pageOf(found, r.After, func(v inventory.VM) string { return v.UUID })
	if r.After == "" {
		if reply.Problems, err = s.namedTags(ctx, r.VMs, problems); err != nil {
			return nil, err
		}
	}
	for _, h := range inv.Hosts {
		if slices.ContainsFunc(reply.VMs, func(v inventory.VM) bool { return v.Host == h.Ref }) {
			reply.Hosts = append(reply.Hosts, h)
		}
	}
	return reply, nil
}

// namedTags finds out whether a tag that no VM has exists: one that does not was
// written wrong, or is no more.
func (s *Service) namedTags(ctx context.Context, selectors []inventory.Selector, problems []inventory.Problem) ([]inventory.Problem, error) {
	for i, x := range selectors {
		k := slices.IndexFunc(problems, func(p inventory.Problem) bool { return p.Path == fmt.Sprintf("/spec/source/vms/%d/tag", i) })
		if k < 0 {
			continue
		}
		vc, err := s.vcenter(ctx)
		if err != nil {
			return nil, err
		}
		category, name, _ := strings.Cut(x.Tag, "/")
		names, err := vc.Tags(ctx, category)
		switch {
		case cdp.Is(err, cdp.NotFound):
			problems[k].Rule, problems[k].Warning = "tag", false
			problems[k].Text = fmt.Sprintf("there is no tag category %q, or the site's user may not see it", category)
		case err != nil:
			return nil, err
		case !slices.Contains(names, name):
			problems[k].Rule, problems[k].Warning = "tag", false
			problems[k].Text = fmt.Sprintf("the category %s has no tag %q, but %s", category, name, cmp.Or(strings.Join(names[:min(len(names), 20)], ", "), "none"))
		}
	}
	return problems, nil
}

// sourceMembers asks the source for all pages; the VMs are by path.
func (s *Service) sourceMembers(ctx context.Context, site cdp.Site, selectors []inventory.Selector) (api.MembersReply, error) {
	var all api.MembersReply
	for after := ""; ; {
		page, err := s.deps.Peer.Members(ctx, site, api.MembersRequest{VMs: selectors, After: after})
		if err != nil {
			return all, err
		}
		if after == "" {
			all.About, all.Problems = page.About, page.Problems
		}
		all.VMs = append(all.VMs, page.VMs...)
		for _, h := range page.Hosts {
			if !slices.ContainsFunc(all.Hosts, func(x inventory.Host) bool { return x.Ref == h.Ref }) {
				all.Hosts = append(all.Hosts, h)
			}
		}
		if !page.More || len(page.VMs) == 0 {
			break
		}
		after = page.VMs[len(page.VMs)-1].UUID
	}
	slices.SortFunc(all.VMs, func(a, b inventory.VM) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}
