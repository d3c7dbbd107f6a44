package vcenter

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// DeleteSite handles vcenter.site-delete.
func (o *SiteOwner) DeleteSite(ctx context.Context, e event.Event) error {
	var p event.SiteDelete
	if err := e.Into(&p); err != nil {
		return err
	}
	return o.delete(ctx, p.Site)
}

// delete handles api.SiteDelete: Conflict while a job uses the site.
func (o *SiteOwner) delete(ctx context.Context, site cdp.Site) error {
	const op = "delete site"
	o.mu.Lock()
	defer o.mu.Unlock()
	_, rev, err := o.Specs.Get(ctx, string(site))
	if cdp.Is(err, cdp.NotFound) {
		return cdp.Errorf(cdp.NotFound, op, string(site), "there is no such site").WithHint("list the sites: tidemark get site")
	}
	if err != nil {
		return cdp.Wrap(err, op, string(site))
	}
	user, err := o.user(ctx, site)
	if err == nil && user != "" {
		return cdp.Errorf(cdp.Conflict, op, string(site), "%s uses it", user).WithHint("delete that job first")
	}
	if err == nil {
		err = o.Specs.Delete(ctx, string(site), rev)
	}
	if err == nil {
		err = o.Events.Emit(ctx, event.SiteDeleted{Site: site})
	}
	return cdp.Wrap(err, op, string(site))
}

// user names a job that uses a site; empty: none does.
func (o *SiteOwner) user(ctx context.Context, site cdp.Site) (string, error) {
	jobs, err := o.Users.AllJobs(ctx)
	if err != nil {
		return "", err
	}
	for _, j := range jobs {
		switch {
		case j.Source.Site != site && j.Target.Site != site:
		case j.Of != "": // an operator knows the job on VMs
			return "the job " + j.Of + ", by the replica " + j.Target.VM + ",", nil
		default:
			return "the job " + j.Name, nil
		}
	}
	vmJobs, err := o.Users.AllVMJobs(ctx)
	for _, j := range vmJobs {
		if j.SourceSite == site || j.TargetSite == site {
			return "the job " + j.Name, err
		}
	}
	return "", err
}
