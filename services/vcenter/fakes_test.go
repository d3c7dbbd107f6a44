package vcenter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

type record struct {
	v   json.RawMessage
	rev uint64
}

type records struct {
	mu sync.Mutex
	m  map[string]record
	n  uint64
}

func (r *records) Get(_ context.Context, key string) (json.RawMessage, uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, ok := r.m[key]
	if !ok {
		return nil, 0, cdp.Errorf(cdp.NotFound, "read", key, "there is none")
	}
	return slices.Clone(x.v), x.rev, nil
}

func (r *records) Put(_ context.Context, key string, v json.RawMessage, rev uint64) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m[key].rev != rev {
		return 0, cdp.Errorf(cdp.Conflict, "write", key, "revision %d, not %d", r.m[key].rev, rev)
	}
	r.n++
	r.m[key] = record{slices.Clone(v), r.n}
	return r.n, nil
}

func (r *records) Delete(_ context.Context, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m, key)
	return nil
}

func (r *records) List(_ context.Context, prefix string) ([]vcenter.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []vcenter.Record
	for _, k := range slices.Sorted(maps.Keys(r.m)) {
		if strings.HasPrefix(k, prefix) {
			out = append(out, vcenter.Record{Key: k, Value: slices.Clone(r.m[k].v), Revision: r.m[k].rev})
		}
	}
	return out, nil
}

type jobsOf struct {
	w    *world
	site cdp.Site
}

func (j jobsOf) Get(_ context.Context, name string) (spec.VMJob, error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	x, ok := j.w.jobs[name]
	if !ok {
		return x, cdp.Errorf(cdp.NotFound, "read", name, "there is none")
	}
	return x, nil
}

func (j jobsOf) Watch(ctx context.Context, fn func(string, *spec.VMJob) error) error {
	c := make(chan string, 1000)
	j.w.mu.Lock()
	for name := range j.w.jobs {
		c <- name
	}
	j.w.watchers = append(j.w.watchers, c)
	j.w.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case name := <-c:
			job, err := j.Get(ctx, name)
			p := &job
			if err != nil {
				p = nil
			} else if job.TargetSite != j.site {
				continue
			}
			if err := fn(name, p); err != nil {
				return err
			}
		}
	}
}

type groupsOf struct {
	w    *world
	site cdp.Site // the target of those that List has; empty: all
}

func (g groupsOf) Get(_ context.Context, name string) (spec.ReplicationJob, error) {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	x, ok := g.w.groups[name]
	if !ok {
		return x, cdp.Errorf(cdp.NotFound, "read", name, "there is none")
	}
	return x, nil
}

func (g groupsOf) Put(_ context.Context, job spec.ReplicationJob) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	g.w.groups[job.Name] = job
	return nil
}

func (g groupsOf) Delete(_ context.Context, name string) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	delete(g.w.groups, name)
	return nil
}

func (g groupsOf) List(context.Context) ([]spec.ReplicationJob, error) {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	var out []spec.ReplicationJob
	for _, x := range g.w.groups {
		if g.site == "" || x.Target.Site == g.site {
			out = append(out, x)
		}
	}
	return out, nil
}

type peerOf struct{ w *world }

func (w *world) end(site cdp.Site) *end {
	if site == w.b.name {
		return w.b
	}
	return w.a
}

func (p peerOf) gone() error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.cut {
		return cdp.Errorf(cdp.Transient, "ask", "a", "no answer")
	}
	return nil
}

func (p peerOf) Members(ctx context.Context, site cdp.Site, r api.MembersRequest) (api.MembersReply, error) {
	if err := p.gone(); err != nil {
		return api.MembersReply{}, err
	}
	p.w.mu.Lock()
	p.w.looks++
	p.w.mu.Unlock()
	return ask[api.MembersReply](ctx, p.w.end(site), api.VCenterMembers, r)
}

func (p peerOf) Tap(ctx context.Context, site cdp.Site, r api.TapRequest) (api.Progress, error) {
	if err := p.gone(); err != nil {
		return api.Progress{}, err
	}
	p.w.mu.Lock()
	if r.Again {
		p.w.again++
	}
	p.w.mu.Unlock()
	return ask[api.Progress](ctx, p.w.end(site), api.VMTap, r)
}

func (p peerOf) Filters(ctx context.Context, site cdp.Site, r api.FilterRequest) (api.FiltersReply, error) {
	if err := p.gone(); err != nil {
		return api.FiltersReply{}, err
	}
	return ask[api.FiltersReply](ctx, p.w.end(site), api.FilterStatus, r)
}

type runsOf struct{ w *world }

func (r runsOf) Run(_ context.Context, job string) error { return r.set(job, true) }

func (r runsOf) Stop(_ context.Context, job string) error { return r.set(job, false) }

func (r runsOf) set(job string, on bool) error {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if r.w.running[job] == on {
		return cdp.Errorf(cdp.Duplicate, "run", job, "already")
	}
	r.w.running[job] = on
	return nil
}

type journalOf struct{ w *world }

func (j journalOf) Free(context.Context) (int64, error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	return j.w.free, nil
}

func (j journalOf) Holds(_ context.Context, g cdp.GroupID) (bool, error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	return j.w.journals[g], nil
}

func (j journalOf) Heard(_ context.Context, name string) (bool, []string, error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	if !j.w.answers[name] {
		return false, nil, cdp.Errorf(cdp.Transient, "ask journal", name, "nobody answers")
	}
	return true, j.w.holds[name], nil
}

type captureOf struct{ w *world }

func (c captureOf) Status(context.Context, cdp.Site, cdp.GroupID) (api.CaptureGroup, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return api.CaptureGroup{State: c.w.captures, Exports: c.w.exports}, nil
}

// checker refuses what the bus would.
var checker = event.NewSchemas()

type eventsOf struct{ w *world }

func (e eventsOf) Emit(_ context.Context, p event.Payload) error {
	x, err := event.New("01", time.Now(), "/b/vcenter", p)
	if err == nil {
		err = checker.Check(x)
	}
	if err != nil {
		e.w.t.Errorf("%+v: %v", p, err)
		return err
	}
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	e.w.events = append(e.w.events, p)
	return nil
}

// probes answer for what the simulated guests cannot.
type probes struct{ vcenter.NetProber }

func (probes) Ping(_ context.Context, ip string) error {
	if strings.HasPrefix(ip, "192.0.2.") {
		return nil
	}
	return fmt.Errorf("%s does not answer", ip)
}

// sourcedOf is SourceSpecs: in the tests' world names are unique.
type sourcedOf struct {
	jobs   jobsOf
	groups groupsOf
}

func (s sourcedOf) Group(ctx context.Context, name string) (spec.ReplicationJob, error) {
	return s.groups.Get(ctx, name)
}

func (s sourcedOf) VMJob(ctx context.Context, _ cdp.Site, name string) (spec.VMJob, error) {
	return s.jobs.Get(ctx, name)
}
