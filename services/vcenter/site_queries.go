package vcenter

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// siteQueries answer questions about the site's vCenter.
type siteQueries struct {
	connect func(context.Context) (queried, error)
	site    func(context.Context) (Site, error)
	cache   *inventoryCache
	hotadd  *hotadd
	clock   clock.Clock
}

// queried is what siteQueries need of a vCenter.
type queried interface {
	VMReader
	TagReader
	SiteAudit
	Speed
}

// inventory handles api.VCenterInventory.
func (q *siteQueries) inventory(ctx context.Context, r api.InventoryRequest) (any, error) {
	inv, err := q.cache.load(ctx, r.Fresh)
	if err != nil {
		return nil, err
	}
	inv.VMs = nil
	return inv, nil
}

// vms handles api.VCenterVMs.
func (q *siteQueries) vms(ctx context.Context, r api.VMsRequest) (any, error) {
	inv, err := q.cache.load(ctx, r.Fresh)
	if err != nil {
		return nil, err
	}
	page, more := pageOf(inv.VMs, r.After, func(v inventory.VM) string { return v.Path })
	return api.VMsReply{VMs: page, More: more}, nil
}

// pageBytes is the size limit of a page of VMs, as JSON. A page must fit into a
// message, however many disks and settings the VMs have.
const pageBytes = 700 << 10

// pageOf returns the VMs with keys after a key, sorted by key, as many as an answer
// may hold.
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

// clocks handles api.VCenterClocks.
func (q *siteQueries) clocks(ctx context.Context, _ api.Empty) (any, error) {
	vc, err := q.connect(ctx)
	if err != nil {
		return nil, err
	}
	at := q.clock.Now()
	hosts, err := vc.Clocks(ctx)
	return api.ClocksReply{At: at, Hosts: hosts}, err
}

// members handles api.VCenterMembers: the VMs that selectors select.
func (q *siteQueries) members(ctx context.Context, r api.MembersRequest) (any, error) {
	inv, err := q.cache.get(ctx)
	if err != nil {
		return nil, err
	}
	site, err := q.site(ctx)
	if err != nil {
		return nil, err
	}
	var own inventory.VM
	if site.Transporter != "" {
		if v, why := inv.FindVM(site.Transporter); why == "" {
			own = v
		}
	}
	found, problems := vmpolicy.Match(inv, r.VMs, own.UUID)
	problems = append(problems, vmpolicy.Elsewhere(inv, found, own)...)
	reply := api.MembersReply{About: inv.About}
	reply.VMs, reply.More = pageOf(found, r.After, func(v inventory.VM) string { return v.UUID })
	if r.After == "" {
		if reply.Problems, err = q.missingTags(ctx, r.VMs, problems); err != nil {
			return nil, err
		}
		reply.Twins = inv.Twins(found)
		if own.UUID != "" {
			reply.Slots = &inventory.Slots{UUID: own.UUID, Name: own.Name, Free: vmpolicy.FreeSlots(vmpolicy.WithoutFrozen(own))}
		}
		vc, err := q.connect(ctx)
		if err != nil {
			return nil, err
		}
		reply.CallTime = vc.CallTime(ctx)
	}
	for _, h := range inv.Hosts {
		if slices.ContainsFunc(reply.VMs, func(v inventory.VM) bool { return v.Host == h.Ref }) {
			reply.Hosts = append(reply.Hosts, h)
		}
	}
	return reply, nil
}

// missingTags finds out whether the tags that no VM has exist. A warning about one
// that does not exist becomes a problem.
func (q *siteQueries) missingTags(ctx context.Context, selectors []inventory.Selector, problems []inventory.Problem) ([]inventory.Problem, error) {
	for i, x := range selectors {
		k := slices.IndexFunc(problems, func(p inventory.Problem) bool { return p.Path == fmt.Sprintf("/spec/source/vms/%d/tag", i) })
		if k < 0 {
			continue
		}
		vc, err := q.connect(ctx)
		if err != nil {
			return nil, err
		}
		category, name, names, err := categoryOf(ctx, vc, x.Tag)
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

// categoryOf divides a tag into its category, both of which may contain slashes, and
// its name, and returns the category's tags. NotFound: there is no such category.
func categoryOf(ctx context.Context, vc TagReader, tag string) (category, name string, names []string, err error) {
	for i := range tag {
		if tag[i] != '/' {
			continue
		}
		all, err := vc.Tags(ctx, tag[:i])
		if err == nil && slices.Contains(all, tag[i+1:]) {
			return tag[:i], tag[i+1:], all, nil
		}
		if err != nil && !cdp.Is(err, cdp.NotFound) {
			return "", "", nil, err
		}
		if err == nil {
			category, name, names = tag[:i], tag[i+1:], all
		}
	}
	if names == nil {
		category, name, _ = strings.Cut(tag, "/")
		return category, name, nil, cdp.Errorf(cdp.NotFound, "find tag", tag, "there is no such category")
	}
	return category, name, names, nil
}
