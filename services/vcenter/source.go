package vcenter

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// source is what the source said of a job's VMs.
type source struct {
	answers bool
	why     string // it did not
	silent  bool   // it will, perhaps, when it is asked again
	reply   api.MembersReply
	filters []inventory.Filter
	asked   time.Time
	of      string // the spec that it was asked for
}

// askSource asks the source, at most once in a beat: a busy vCenter here must
// not make it work there.
func (r *round) askSource(ctx context.Context, c *control) source {
	of := hashOf(r.job)
	if c != nil {
		c.mu.Lock()
		last := c.source
		c.mu.Unlock()
		if last.answers && last.of == of && time.Since(last.asked) < r.s.cfg.Beat {
			return last
		}
	}
	r.source = source{asked: time.Now(), of: of}
	reply, err := r.s.sourceMembers(ctx, r.job.SourceSite, r.job.Job.Source.VMs)
	if err == nil {
		r.reply = reply
		r.renamed(ctx)
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

// renamed finds members that a selector meant by name or path before they were
// renamed or moved: they are meant still.
func (r *round) renamed(ctx context.Context) {
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
		again, err := r.s.deps.Peer.Members(ctx, r.job.SourceSite, api.MembersRequest{VMs: []inventory.Selector{{UUID: r.members[i].Value.VM.UUID}}})
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

// sourceFilters are the I/O filters where the VMs run; nil when there are none.
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
		reply, err := r.s.deps.Peer.Filters(ctx, r.job.SourceSite, api.FilterRequest{Cluster: string(h.Cluster)})
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
