package node

import (
	"context"
	"encoding/json"
	"os"
	"path"
	"strings"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

// runVCenter gives the vcenter service the bus, and its site's vCenter.
func runVCenter(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.VCenter)
	if err != nil {
		return err
	}
	defer conn.Close()
	sites, err := openSpecs[spec.Site](ctx, e, conn, subjects.KeySite)
	if err != nil {
		return err
	}
	jobs, err := openSpecs[spec.VMJob](ctx, e, conn, subjects.KeyVMJob)
	if err != nil {
		return err
	}
	groups, err := openSpecs[spec.ReplicationJob](ctx, e, conn, subjects.KeyJob)
	if err != nil {
		return err
	}
	records, err := bus.OpenBucket[json.RawMessage](ctx, conn, e.site, subjects.BucketState, subjects.KeyVCenter)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.path(loginDir), 0o700); err != nil { // so that people see where logins belong
		return &cdp.Error{Op: "prepare vcenter", Kind: cdp.Invalid, Subject: e.path(loginDir), Cause: err}
	}
	if err := os.MkdirAll(e.path(guestDir), 0o700); err != nil {
		return &cdp.Error{Op: "prepare vcenter", Kind: cdp.Invalid, Subject: e.path(guestDir), Cause: err}
	}
	dial := &vcenterDial{e: e, sites: sites}
	defer dial.close()
	w := vcenterWiring{e, conn, dial.site}
	s := vcenter.New(vcenter.Config{}, vcenter.Deps{
		VCenter: dial.vcenter, Site: dial.site, Jobs: vmJobs{jobs}, Groups: vmGroups{groups, conn}, Sourced: sourceSpecs{jobs, groups}, Records: vmRecords{records},
		Peer: w, Runs: w, Journal: w, Capture: w, Events: conn, Files: vcenterFiles{e.places}, Guests: guestLogins(e.path(guestDir)), Notify: func(err error) { e.warn(err) },
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { return conn.Serve(ctx, subjects.VCenter, s.Endpoints()) })
	g.Go(func() error { return ServeSites(ctx, conn, e.site) })
	return g.Wait()
}

// vmJobs is vcenter.Jobs.
type vmJobs struct{ specs[spec.VMJob] }

// Get leaves out what was applied at a peer: that has names of its own.
func (j vmJobs) Get(ctx context.Context, name string) (spec.VMJob, error) {
	x, err := j.own.Get(ctx, name)
	return x.Value, err
}

func (j vmJobs) Watch(ctx context.Context, fn func(string, *spec.VMJob) error) error {
	return watch(ctx, j.e, j.own, func(name string, job *spec.VMJob) error {
		if job != nil && job.TargetSite != j.e.site {
			return nil
		}
		return fn(name, job)
	})
}

// vmGroups is vcenter.Groups.
type vmGroups struct {
	specs[spec.ReplicationJob]
	conn *bus.Conn
}

func (g vmGroups) Get(ctx context.Context, name string) (spec.ReplicationJob, error) {
	x, err := g.own.Get(ctx, name)
	return x.Value, err
}

// Put and Delete ask the scheduler, the only writer of jobs.
func (g vmGroups) Put(ctx context.Context, job spec.ReplicationJob) error {
	return g.conn.Request(ctx, g.e.site, subjects.Scheduler, api.VMGroupApply, api.VMGroupApplyRequest{Job: job}, nil)
}

func (g vmGroups) Delete(ctx context.Context, name string) error {
	return g.conn.Request(ctx, g.e.site, subjects.Scheduler, api.VMGroupDelete, api.GroupRequest{Group: cdp.GroupID(name)}, nil)
}

func (g vmGroups) List(ctx context.Context) ([]spec.ReplicationJob, error) {
	return listJobs(ctx, g.own, g.e.site)
}

// sourceSpecs is vcenter.SourceSpecs.
type sourceSpecs struct {
	jobs   specs[spec.VMJob]
	groups specs[spec.ReplicationJob]
}

func (s sourceSpecs) Group(ctx context.Context, name string) (spec.ReplicationJob, error) {
	return s.groups.get(ctx, name, func(x spec.ReplicationJob) bool { return x.Source.Site == s.groups.e.site })
}

func (s sourceSpecs) VMJob(ctx context.Context, target cdp.Site, name string) (spec.VMJob, error) {
	return s.jobs.get(ctx, name, func(x spec.VMJob) bool { return x.TargetSite == target })
}

// vmRecords is vcenter.Records.
type vmRecords struct{ b *bus.Bucket[json.RawMessage] }

func (r vmRecords) Get(ctx context.Context, key string) (json.RawMessage, uint64, error) {
	x, err := r.b.Get(ctx, key)
	return x.Value, x.Revision, err
}

func (r vmRecords) Put(ctx context.Context, key string, v json.RawMessage, revision uint64) (uint64, error) {
	return put(ctx, r.b, key, v, revision)
}

func (r vmRecords) Delete(ctx context.Context, key string) error { return r.b.Delete(ctx, key, 0) }

func (r vmRecords) List(ctx context.Context, prefix string) (out []vcenter.Record, err error) {
	all, err := r.b.All(ctx)
	for _, x := range all {
		if strings.HasPrefix(x.Key, prefix) && !x.Lost {
			out = append(out, vcenter.Record{Key: x.Key, Value: x.Value, Revision: x.Revision})
		}
	}
	return out, err
}

// vcenterWiring asks the other services: it is Peer, Runs, Journal and Capture.
type vcenterWiring struct {
	e    *env
	conn *bus.Conn
	site func(context.Context) (vcenter.Site, error)
}

func (w vcenterWiring) Members(ctx context.Context, site cdp.Site, r api.MembersRequest) (out api.MembersReply, err error) {
	return out, w.ask(ctx, site, subjects.VCenter, api.VCenterMembers, r, &out)
}

func (w vcenterWiring) Tap(ctx context.Context, site cdp.Site, r api.TapRequest) (out api.Progress, err error) {
	return out, w.ask(ctx, site, subjects.VCenter, api.VMTap, r, &out)
}

func (w vcenterWiring) Filters(ctx context.Context, site cdp.Site, r api.FilterRequest) (out api.FiltersReply, err error) {
	return out, w.ask(ctx, site, subjects.VCenter, api.FilterStatus, r, &out)
}

// ask gives a vCenter the time that it may need.
func (w vcenterWiring) ask(ctx context.Context, site cdp.Site, service, endpoint string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, client.Slow)
	defer cancel()
	return w.conn.Request(ctx, site, service, endpoint, in, out)
}

func (w vcenterWiring) Run(ctx context.Context, job string) error {
	_, err := w.conn.Command(ctx, w.e.site, event.JobRun{Job: job})
	return err
}

func (w vcenterWiring) Stop(ctx context.Context, job string) error {
	_, err := w.conn.Command(ctx, w.e.site, event.JobStop{Job: job})
	return err
}

func (w vcenterWiring) Status(ctx context.Context, site cdp.Site, g cdp.GroupID) (api.CaptureGroup, error) {
	return client.CaptureStatus(ctx, w.conn, site, w.conn.Site(), g)
}

func (w vcenterWiring) journals(ctx context.Context) (out api.StatusReply, err error) {
	return out, w.ask(ctx, w.e.site, subjects.Journal, api.JournalStatus, api.GroupRequest{}, &out)
}

// Free is of the file system that this site's files are on, for that is where
// the journals are, too.
func (w vcenterWiring) Free(context.Context) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(w.e.dir, &st); err != nil {
		return -1, nil
	}
	return int64(st.Bavail) * st.Bsize, nil
}

func (w vcenterWiring) Holds(ctx context.Context, g cdp.GroupID) (bool, error) {
	r, err := w.journals(ctx)
	for _, x := range r.Groups {
		if x.Group == g {
			return true, nil
		}
	}
	return false, err
}

// mine: the transporter is the one that this site's services run on, which they
// need not know by its name.
func (w vcenterWiring) mine(ctx context.Context, transporter string) bool {
	s, err := w.site(ctx)
	return err == nil && s.Transporter != "" && path.Base(s.Transporter) == transporter
}

// Heard: at a source site there is no journal, and capture's word will do. Only
// there it is sure that there is none when none answers. What another journal
// keeps says nothing of this one's.
func (w vcenterWiring) Heard(ctx context.Context, transporter string) (answers bool, groups []string, err error) {
	for range asksOfJournals {
		r, err := w.journals(ctx)
		switch {
		case cdp.Is(err, cdp.Transient) && w.captures(ctx):
			return w.mine(ctx, transporter), nil, nil
		case err != nil:
			return false, nil, err
		case r.Transporter != transporter && (r.Transporter != "" || !w.mine(ctx, transporter)):
			continue
		}
		for _, x := range r.Groups {
			groups = append(groups, string(x.Group))
		}
		return true, groups, nil
	}
	return false, nil, cdp.Errorf(cdp.Transient, "ask journal", transporter, "another transporter's answers")
}

// asksOfJournals: if there are several at a site, any of them answers, so that
// one is asked for a few times.
const asksOfJournals = 6

// captures: the site is a source, and its capture service answers.
func (w vcenterWiring) captures(ctx context.Context) bool {
	return w.ask(ctx, w.e.site, subjects.Capture, api.CaptureStatus, api.GroupRequest{}, nil) == nil
}

var (
	_ vcenter.Peer    = vcenterWiring{}
	_ vcenter.Runs    = vcenterWiring{}
	_ vcenter.Journal = vcenterWiring{}
	_ vcenter.Capture = vcenterWiring{}
	_ vcenter.Jobs    = vmJobs{}
	_ vcenter.Groups  = vmGroups{}
	_ vcenter.Records = vmRecords{}
)
