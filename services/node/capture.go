package node

import (
	"cmp"
	"context"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/spoolshare"
	"tidemark.dev/pkg/engine/window"
	"tidemark.dev/services/capture"
)

// runCapture gives the capture service the bus.
func runCapture(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.Capture)
	if err != nil {
		return err
	}
	defer conn.Close()
	jobs, err := openSpecs[spec.ReplicationJob](ctx, e, conn, subjects.KeyJob)
	if err != nil {
		return err
	}
	runs, err := openRuns(ctx, e, conn)
	if err != nil {
		return err
	}
	sites, err := openSpecs[spec.Site](ctx, e, conn, subjects.KeySite)
	if err != nil {
		return err
	}
	vms := siteVMs{conn, e.site, e.clock}
	windows, err := e.windows(sharedMemory)
	if err == nil {
		err = window.Claim(windows, e.dir)
		e.removeOrphans(windows)
	}
	if err != nil {
		e.warn(err) // a window that finds no place there is kept in the site's directory
	}
	key, err := signingKey(e.path("capture"))
	if err != nil {
		e.warn(err) // points go unsigned, and their target says so
	}
	s, err := capture.New(capture.Config{StateDir: e.path("capture"), WindowDir: windows}, capture.Deps{
		Site: e.site, Jobs: capturedJobs{e, jobs}, Runs: runs, TapBase: tapBase{e.site, sites},
		Streams: frameStreams{bus.NewSpool(conn, cmp.Or(e.spool, spoolshare.Default))}, Epochs: newEpochs(conn, e.site, e.clock), Journal: journals{conn}, Sums: journals{conn}.Sums,
		Key: key, Snapshots: vms, Machines: vms, Servers: tapServers{e}, Windows: e.windowBudget, Disk: e.places.openSource, Look: looker(e.places.sources), Clock: e.clock,
		Events: conn, Timings: e.metrics.WritePath(e.site), Join: telemetry.Join, Notify: func(err error, job string) { e.warn(err, "job", job) },
	})
	if err != nil {
		return err
	}
	defer e.metrics.Capture(e.site, asked[api.CaptureStatusReply](s.Endpoints()[api.CaptureStatus]))()
	return withParts(ctx, e, s.Run,
		func(ctx context.Context) error { return conn.Serve(ctx, subjects.Capture, s.Endpoints()) },
		func(ctx context.Context) error { return conn.HandleCommands(ctx, subjects.Capture, s.Commands()) })
}

var _ capture.Witness = (*blockfile.File)(nil)

// capturedJobs is capture.Jobs.
type capturedJobs struct {
	e *env
	specs[spec.ReplicationJob]
}

func (j capturedJobs) Watch(ctx context.Context, fn func(cdp.Site, string, *spec.ReplicationJob) error) error {
	return watchTargets(ctx, j.e, j.own, j.peers, fn)
}

func (j capturedJobs) Wanted(ctx context.Context, name string) (bool, error) {
	here := func(job spec.ReplicationJob) bool { return job.Source.Site == j.e.site }
	job, err := j.get(ctx, name, here)
	if cdp.Is(err, cdp.NotFound) {
		return false, nil
	}
	return err == nil && here(job), err
}

// watchTargets watches a bucket and the copies of the peers', each with its site.
func watchTargets[T any](ctx context.Context, e *env, own *bus.Bucket[T], peers []*bus.Bucket[T], fn func(cdp.Site, string, *T) error) error {
	targets := append([]cdp.Site{e.site}, e.peers...)
	eg, ctx := errgroup.WithContext(ctx)
	for i, b := range append([]*bus.Bucket[T]{own}, peers...) {
		eg.Go(func() error {
			return watch(ctx, e, b, func(name string, v *T) error { return fn(targets[i], name, v) })
		})
	}
	return eg.Wait()
}

// wantedRuns is capture.Runs.
type wantedRuns struct {
	e     *env
	own   *bus.Bucket[api.RunState]
	peers []*bus.Bucket[api.RunState]
}

func openRuns(ctx context.Context, e *env, conn *bus.Conn) (r wantedRuns, err error) {
	r.e = e
	if r.own, err = bus.OpenBucket[api.RunState](ctx, conn, e.site, subjects.BucketState, subjects.KeyJob); err != nil {
		return r, err
	}
	r.peers, err = openCopies[api.RunState](ctx, e, conn, subjects.BucketState, subjects.KeyJob)
	return r, err
}

func (r wantedRuns) Watch(ctx context.Context, fn func(cdp.Site, string, bool) error) error {
	return watchTargets(ctx, r.e, r.own, r.peers, func(target cdp.Site, name string, s *api.RunState) error {
		return fn(target, name, s.Running())
	})
}

// tapBase is capture.TapBase: the site's spec says it.
type tapBase struct {
	site  cdp.Site
	sites specs[spec.Site]
}

func (t tapBase) Address(ctx context.Context) (string, error) {
	s, err := t.sites.get(ctx, string(t.site), described)
	if cdp.Is(err, cdp.NotFound) || err == nil && s.VSphere == nil {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return s.VSphere.Taps, nil
}
