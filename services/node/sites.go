package node

import (
	"context"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/vcenter"
)

// ServeSites lets the specs of sites be written through a connection, which is the
// vcenter service's, until ctx ends. It is a part of that service, and needs no
// vCenter.
func ServeSites(ctx context.Context, conn *bus.Conn, site cdp.Site) error {
	sites, err := bus.OpenBucket[spec.Site](ctx, conn, site, subjects.BucketSpec, subjects.KeySite)
	if err != nil {
		return err
	}
	jobs, err := bus.OpenBucket[spec.ReplicationJob](ctx, conn, site, subjects.BucketSpec, subjects.KeyJob)
	if err != nil {
		return err
	}
	vmJobs, err := bus.OpenBucket[spec.VMJob](ctx, conn, site, subjects.BucketSpec, subjects.KeyVMJob)
	if err != nil {
		return err
	}
	owner := &vcenter.SiteOwner{Specs: ownSpecs[spec.Site]{sites}, Users: siteUsers{jobs, vmJobs}, Events: conn}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return conn.Serve(ctx, subjects.VCenter, owner.Endpoints()) })
	g.Go(func() error {
		return conn.HandleCommands(ctx, subjects.VCenter, map[string]bus.Handler{"site-apply": owner.ApplySite, "site-delete": owner.DeleteSite})
	})
	return g.Wait()
}

// siteUsers is vcenter.SiteUsers.
type siteUsers struct {
	jobs   *bus.Bucket[spec.ReplicationJob]
	vmJobs *bus.Bucket[spec.VMJob]
}

func (u siteUsers) AllJobs(ctx context.Context) ([]spec.ReplicationJob, error) {
	return allOf(ctx, u.jobs)
}

func (u siteUsers) AllVMJobs(ctx context.Context) ([]spec.VMJob, error) { return allOf(ctx, u.vmJobs) }

func allOf[T any](ctx context.Context, b *bus.Bucket[T]) ([]T, error) {
	all, err := b.All(ctx)
	return readable(all), err
}
