package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/scheduler"
)

func (a *app) cmdApply() *cobra.Command {
	var files []string
	var dry bool
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Describe sites and jobs, from YAML files",
		Long: long(`Read files of apiVersion, kind, metadata and spec, and make them what is wanted.
All that is wrong is told at once, and then nothing is changed. A job on VMs is
checked against both sites' vCenters, too. A job that is new does not run until:
tidemark job run NAME.
What does not stop a job is a warning on standard error: a subnet of reIP or a tag
that hits no VM yet, and, of a change, whatever stood in the way of the job before,
as a new VM of its folder that is refused. It can be seen in the job's status, too.
Of a changed job on VMs it is told who joins and who leaves. No more recovery points
are made of a VM that leaves; its journal and its replica stay until tidemark delete
job lets go of it. Host, cluster, datastore, folder, pool and whatever else replicas
that stand do not follow is named in a warning.`),
		Example: `  tidemark apply -f web.yaml
  tidemark apply -f sites.yaml -f jobs.yaml --dry-run
  cat web.yaml | tidemark apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return usage("which file? give it with -f")
			}
			objects, err := a.read(files)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *session) error { return a.apply(ctx, cl, objects, dry) })
		},
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "file to read, - for standard input; may be given again")
	c.Flags().BoolVar(&dry, "dry-run", false, "check and say what would change, and change nothing")
	return c
}

// read parses all files; the error tells the problems of all of them.
func (a *app) read(files []string) ([]spec.Object, error) {
	var objects []spec.Object
	var bad []error
	for _, name := range files {
		var data []byte
		var err error
		if name == "-" {
			name = "standard input"
			data, err = io.ReadAll(a.in)
		} else {
			data, err = os.ReadFile(name)
		}
		if err != nil {
			bad = append(bad, &cdp.Error{Op: "read spec", Kind: cdp.Invalid, Subject: name, Cause: err})
			continue
		}
		objs, err := spec.Parse(name, data)
		if err != nil {
			bad = append(bad, problems(name, err))
			continue
		}
		objects = append(objects, objs...)
	}
	return objects, all(bad)
}

// problems writes what is wrong with a file one below the other.
func problems(name string, err error) error {
	ps := spec.Problems(err)
	if len(ps) == 0 {
		return err
	}
	lines := []string{fmt.Sprintf("%d problems, nothing was changed", len(ps))}
	if len(ps) == 1 {
		lines[0] = "1 problem, nothing was changed"
	}
	for _, p := range ps {
		lines = append(lines, p.String())
	}
	return &cdp.Error{Op: "read spec", Kind: cdp.Invalid, Subject: name, Cause: errors.New(strings.Join(lines, "\n"))}
}

// all joins errors to one of the first one's kind; nil if there are none.
func all(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	joined := errors.Join(errs...)
	return &cdp.Error{Op: "several things are wrong", Kind: cdp.KindOf(errs[0]), Hint: cdp.HintOf(errs[0]), Cause: errors.New("\n" + joined.Error())}
}

// change is one object that differs from what stands.
type change struct {
	object spec.Object
	what   string // created, changed, unchanged
	note   string
	// warnings do not refuse it, and stay to be seen in its status.
	warnings []string
	// joins and leaves are VMs that a change of a job adds and drops.
	joins, leaves []string
}

func (a *app) apply(ctx context.Context, c *session, objects []spec.Object, dry bool) error {
	k, err := c.kept(ctx)
	if err != nil {
		return err
	}
	var changes []change
	var bad []error
	for _, o := range objects {
		x := change{object: o}
		var wrong []error
		switch {
		case o.Site != nil:
			x.what, _, err = differs(ctx, k.sites, string(o.Site.Name), *o.Site)
		case o.VMJob != nil:
			x, wrong, err = c.fitVMJob(ctx, k, o)
		default:
			var old spec.ReplicationJob
			if x.what, old, err = differs(ctx, k.jobs, o.Job.Name, *o.Job); err == nil {
				wrong, err = c.fits(ctx, k, *o.Job, old, x.what)
			}
		}
		if err != nil {
			return err
		}
		changes, bad = append(changes, x), append(bad, wrong...)
	}
	if err := all(bad); err != nil {
		return err
	}
	for _, x := range changes {
		note := x.note
		if dry {
			note += " (dry run)"
		} else if x.what != "unchanged" {
			if err := c.store(ctx, k, x.object); err != nil {
				return err
			}
			if x.what == "created" && x.object.Site == nil {
				note += "; start it with: tidemark job run " + x.object.Name()
			}
		}
		fmt.Fprintf(a.out, "%s %s %s%s\n", strings.ToLower(x.object.Kind()), x.object.Name(), x.what, note)
		if len(x.joins) > 0 {
			fmt.Fprintf(a.out, "  joins: %s\n", strings.Join(x.joins, ", "))
		}
		if len(x.leaves) > 0 {
			fmt.Fprintf(a.out, "  leaves: %s; no more recovery points are made there, what is there stays: journal and replica\n", strings.Join(x.leaves, ", "))
		}
		for _, text := range x.warnings {
			fmt.Fprintf(a.err, "warning: %s: %s\n", x.object.Name(), text)
		}
	}
	return nil
}

// kept is where objects are kept.
type kept struct {
	sites  *bus.Bucket[spec.Site]
	jobs   *bus.Bucket[spec.ReplicationJob]
	vmJobs *bus.Bucket[spec.VMJob]
}

func (c *session) kept(ctx context.Context) (k kept, err error) {
	if k.sites, err = c.sites(ctx); err == nil {
		k.jobs, err = c.jobs(ctx)
	}
	if err == nil {
		k.vmJobs, err = c.vmJobs(ctx)
	}
	return k, err
}

// differs says how v stands to what is kept under key, and gives that.
func differs[T any](ctx context.Context, b *bus.Bucket[T], key string, v T) (string, T, error) {
	old, err := b.Get(ctx, key)
	switch {
	case cdp.Is(err, cdp.NotFound):
		return "created", old.Value, nil
	case err != nil:
		return "", old.Value, err
	case reflect.DeepEqual(old.Value, v):
		return "unchanged", old.Value, nil
	}
	return "changed", old.Value, nil
}

// fits checks a job against the sites and against what stands.
func (c *session) fits(ctx context.Context, k kept, j, old spec.ReplicationJob, what string) (bad []error, err error) {
	refuse := func(kind cdp.Kind, field, hint, format string, args ...any) {
		bad = append(bad, cdp.Errorf(kind, "apply job", j.Name+" "+field, format, args...).WithHint(hint))
	}
	if old.Of != "" {
		return []error{notByHand("apply job", old)}, nil
	}
	if _, err := k.vmJobs.Get(ctx, j.Name); err == nil {
		refuse(cdp.Conflict, "/metadata/name", "give it another name", "it is the name of a job on VMs")
	} else if !cdp.Is(err, cdp.NotFound) {
		return nil, err
	}
	c.fitSites(j.Source.Site, j.Target.Site, refuse)
	if what != "changed" {
		return bad, nil
	}
	same := slices.Equal(j.Source.Disks, old.Source.Disks) && slices.Equal(j.Target.Disks, old.Target.Disks) &&
		j.Source.Site == old.Source.Site && j.Source.Capture == old.Source.Capture
	if st, err := c.runState(ctx, j.Name); !same && (err != nil || st != nil && st.Desired == scheduler.Running) {
		refuse(cdp.Conflict, "/spec", "stop it first: tidemark job stop "+j.Name, "sites, disks and capture cannot be changed while the job runs")
	}
	return bad, nil
}

// fitSites checks that a job runs between the two sites.
func (c *session) fitSites(source, target cdp.Site, refuse func(kind cdp.Kind, field, hint, format string, args ...any)) {
	if target != c.site {
		refuse(cdp.Invalid, "/spec/target/site", "talk to the target site with --site", "%q: this command talks to the site %s", target, c.site)
	}
	if source != c.site && !slices.Contains(c.peers, source) {
		refuse(cdp.Invalid, "/spec/source/site", "", "%q: it is not linked with %s, which is linked with %v", source, c.site, c.peers)
	}
}

// store writes an object and tells it.
func (c *session) store(ctx context.Context, k kept, o spec.Object) error {
	if o.Site != nil {
		rev, err := k.sites.Put(ctx, string(o.Site.Name), *o.Site)
		if err == nil {
			err = c.conn.Emit(ctx, event.SiteApplied{Site: o.Site.Name, Revision: rev})
		}
		return cdp.Wrap(err, "apply site", o.Name())
	}
	var rev uint64
	var err error
	if o.VMJob != nil {
		rev, err = k.vmJobs.Put(ctx, o.VMJob.Name, *o.VMJob)
	} else {
		rev, err = k.jobs.Put(ctx, o.Job.Name, *o.Job)
	}
	if err == nil {
		err = c.conn.Emit(ctx, event.JobApplied{Job: o.Name(), Revision: rev})
	}
	return cdp.Wrap(err, "apply job", o.Name())
}
