package vcenter

import (
	"context"
	"reflect"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// SiteSpecs are the stored specs of sites. SiteOwner is their only writer.
type SiteSpecs interface {
	// Get returns one spec and its revision; NotFound.
	Get(ctx context.Context, name string) (spec.Site, uint64, error)
	// Put writes a spec if revision is the newest, 0 for none, and returns the new one;
	// Conflict.
	Put(ctx context.Context, name string, v spec.Site, revision uint64) (uint64, error)
	// Delete deletes a spec if revision is the newest; Conflict.
	Delete(ctx context.Context, name string, revision uint64) error
}

// SiteUsers are all jobs that are stored here: each may use a site.
type SiteUsers interface {
	AllJobs(ctx context.Context) ([]spec.ReplicationJob, error)
	AllVMJobs(ctx context.Context) ([]spec.VMJob, error)
}

// SiteOwner writes and deletes the specs of sites on request. It needs no vCenter: a
// site is described before its vCenter can be reached.
type SiteOwner struct {
	Specs  SiteSpecs
	Users  SiteUsers
	Events Events

	mu sync.Mutex // held from the check of a site until it is written
}

const opApplySite = "apply site"

// Endpoints are its endpoints, by their names in package api.
func (o *SiteOwner) Endpoints() map[string]api.Endpoint {
	return map[string]api.Endpoint{
		api.SiteApply:  api.Answer(func(ctx context.Context, r api.ApplyRequest) (any, error) { return o.apply(ctx, r) }),
		api.SiteDelete: api.Answer(func(ctx context.Context, r api.SiteRequest) (any, error) { return api.Empty{}, o.delete(ctx, r.Site) }),
	}
}

// ApplySite handles vcenter.site-apply.
func (o *SiteOwner) ApplySite(ctx context.Context, e event.Event) error {
	var p event.SiteApply
	if err := e.Into(&p); err != nil {
		return err
	}
	return api.ApplyNamed(ctx, spec.KindSite, string(p.Site), p.Document, o.apply)
}

// apply handles api.SiteApply.
func (o *SiteOwner) apply(ctx context.Context, r api.ApplyRequest) (api.ApplyReply, error) {
	obj, reply, err := api.ReadDocument(r, spec.KindSite)
	if err != nil || len(reply.Problems) > 0 {
		return reply, err
	}
	site := *obj.Site
	o.mu.Lock()
	defer o.mu.Unlock()
	old, rev, err := o.Specs.Get(ctx, string(site.Name))
	switch {
	case cdp.Is(err, cdp.NotFound):
		reply.Change, rev = api.Created, 0
	case err != nil:
		return reply, cdp.Wrap(err, opApplySite, string(site.Name))
	case reflect.DeepEqual(old, site):
		reply.Change = api.Unchanged
	default:
		reply.Change = api.Changed
	}
	if r.DryRun || reply.Change == api.Unchanged {
		return reply, nil
	}
	rev, err = o.Specs.Put(ctx, string(site.Name), site, rev)
	if err == nil {
		err = o.Events.Emit(ctx, event.SiteApplied{Site: site.Name, Revision: rev})
	}
	return reply, cdp.Wrap(err, opApplySite, string(site.Name))
}
