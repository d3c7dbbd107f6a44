package vcenter

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// source is the source site's answer about a job's VMs.
type source struct {
	answers bool
	why     string // why it does not answer
	silent  bool   // it may answer when it is asked again
	reply   api.MembersReply
	filters []inventory.Filter
	asked   time.Time
	of      string // hash of the job's spec that it was asked for
}

// askSource asks the source at most once in a beat, so that a busy vCenter here does
// not load the one there.
func (r *round) askSource(ctx context.Context, c *control) source {
	of := hashOf(r.job)
	if c != nil {
		c.mu.Lock()
		last := c.source
		c.mu.Unlock()
		if last.answers && last.of == of && clock.Since(r.s.clock, last.asked) < r.s.cfg.Beat {
			return last
		}
	}
	r.source = source{asked: r.s.clock.Now(), of: of}
	reply, err := r.s.sourceMembers(ctx, r.job.SourceSite, r.job.Job.Source.VMs)
	if err == nil {
		r.reply = reply
		r.findRenamed(ctx)
		if r.job.Job.Source.Capture == cdp.Tap {
			r.filters, err = r.sourceFilters(ctx)
		}
	}
	if err != nil {
		r.source = source{asked: r.asked, of: of, why: err.Error(), silent: cdp.Is(err, cdp.Transient)}
		return r.source
	}
	r.answers = true
	if c != nil {
		c.mu.Lock()
		c.source = r.source
		c.mu.Unlock()
	}
	return r.source
}

// findRenamed finds members that a selector selected by name or path before they were
// renamed or moved. They are still selected.
func (r *round) findRenamed(ctx context.Context) {
	r.reply.Problems = slices.DeleteFunc(r.reply.Problems, func(p inventory.Problem) bool {
		n, err := strconv.Atoi(strings.TrimPrefix(p.Path, "/spec/source/vms/"))
		if err != nil || p.Rule != "reference" || n >= len(r.job.Job.Source.VMs) {
			return false
		}
		x := r.job.Job.Source.VMs[n]
		name := x.Name
		if x.Path != "" {
			name = path.Base(x.Path)
		}
		i := slices.IndexFunc(r.members, func(m *member) bool { return name != "" && m.Value.Name == r.job.Job.Target.ReplicaName(name) })
		if i < 0 {
			return false
		}
		again, err := r.s.peer.Members(ctx, r.job.SourceSite, api.MembersRequest{VMs: []inventory.Selector{{UUID: r.members[i].Value.VM.UUID}}})
		if err != nil || len(again.VMs) != 1 {
			return false
		}
		if !slices.ContainsFunc(r.reply.VMs, func(v inventory.VM) bool { return v.UUID == again.VMs[0].UUID }) {
			r.reply.VMs = append(r.reply.VMs, again.VMs...)
			r.reply.Hosts = append(r.reply.Hosts, again.Hosts...)
		}
		return true
	})
}

// sourceFilters are the I/O filters on the clusters of the VMs; nil without VMs.
func (r *round) sourceFilters(ctx context.Context) ([]inventory.Filter, error) {
	if len(r.reply.Hosts) == 0 {
		return nil, nil
	}
	out := []inventory.Filter{}
	var asked []inventory.Ref
	for _, h := range r.reply.Hosts {
		if slices.Contains(asked, h.Cluster) {
			continue
		}
		asked = append(asked, h.Cluster)
		reply, err := r.s.peer.Filters(ctx, r.job.SourceSite, api.FilterRequest{Cluster: string(h.Cluster)})
		if err != nil {
			return nil, err
		}
		for _, f := range reply.Filters {
			if i := slices.IndexFunc(out, func(x inventory.Filter) bool { return x.ID == f.ID }); i >= 0 {
				out[i].Hosts = append(out[i].Hosts, f.Hosts...)
			} else {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

// sourceMembers asks the source for all pages. The VMs are sorted by path.
func (s *jobControl) sourceMembers(ctx context.Context, site cdp.Site, selectors []inventory.Selector) (api.MembersReply, error) {
	var all api.MembersReply
	for after := ""; ; {
		page, err := s.peer.Members(ctx, site, api.MembersRequest{VMs: selectors, After: after})
		if err != nil {
			return all, err
		}
		if after == "" {
			all.About, all.Problems, all.Twins, all.Slots, all.CallTime = page.About, page.Problems, page.Twins, page.Slots, page.CallTime
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
