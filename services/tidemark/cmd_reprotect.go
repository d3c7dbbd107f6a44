package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/health"
)

// reprotectFlags are the options of a reprotection.
type reprotectFlags struct {
	api.ReprotectRequest
	disks   []string
	capture string
	place   placeFlags
	vms     vmFlags
	// shutdown is of a failback only.
	shutdown shutdownFlags
	wait     waitFlags
	out      format
}

func (a *app) cmdReprotect() *cobra.Command {
	var f reprotectFlags
	c := &cobra.Command{
		Use: "reprotect JOB", Short: "After a committed failover, protect the machine back to the site it came from", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long(`Reverse a job whose failover was committed: protect the machine where it runs now back
to the site that it came from. Another job does that, JOB-back unless --as names it; when
that one is failed over and reprotected, JOB is in force again.

The replicas are the machine's old disks, where they still are. They hold a copy, so the
disks are compared and only what differs is sent. They are overwritten: confirm that with
--yes. What was written to them since the failover is discarded; that is refused while
somebody is connected to them. Where the old disks are gone, give new or empty ones, one
for each disk: --disk NAME=PATH.

Of a VM the replica is the VM that it came from, which must be off and without snapshots;
of a job on VMs all VMs that were failed over are reversed, one after the other, or those of
--vm.

To bring a machine elsewhere, or where its old home is gone, say where. A VM gets a new VM
with --host or --cluster, and --datastore; --to SITE names another site, with a vCenter of its
own. Everything is copied to new disks, except where --seed names a file that holds a copy of
a disk: that is compared, and overwritten where it differs (--yes). Cards are connected as
--network says. The old VM, if there is one, stays as it is, and off. A machine that is no VM
takes --to SITE with --disk.

The site that the machine came from, or that of --to, is asked, for it becomes the target: it must be
reachable, and its configuration must let jobs use the disks as replicas. The machine must
have released its disks; start it on the exports that the command prints. The copy and the
comparison go on beside it.

The recovery points of JOB ended with the commit. They stay until they are deleted with
the job, or until JOB is in force again, which is said before and confirmed with --yes.`),
		Example: "  tidemark reprotect shop --vm db1 --host esx7 --datastore ds2 --network DR=LAN\n  tidemark reprotect web --dry-run\n  tidemark reprotect web --yes\n  tidemark reprotect web --disk root=/vm/new/root.img --disk data=/vm/new/data.img",
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if f.Disks, err = disksOf(f.disks); err != nil {
				return err
			}
			f.Capture = cdp.CaptureMode(f.capture)
			if f.Place, err = f.place.place(); err != nil {
				return err
			}
			f.To = cdp.Site(f.place.to)
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := f.wait.bound(ctx)
				defer cancel()
				return a.eachAway(ctx, cl, args[0], f, func(name string) error {
					seen, err := a.goingTo(ctx, cl, name, &f)
					if err != nil {
						return err
					}
					return a.reprotect(ctx, cl, seen, f)
				})
			})
		},
	}
	p := c.Flags()
	p.BoolVar(&f.Yes, "yes", false, "confirm that old disks are overwritten, and that points of an earlier round are dropped")
	p.BoolVar(&f.DryRun, "dry-run", false, "say what would be done, and change nothing")
	p.StringVar(&f.As, "as", "", "the name of the reversed job (default: JOB-back, or the one that JOB reversed)")
	p.StringArrayVar(&f.disks, "disk", nil, "NAME=PATH: a new or empty replica instead of the old disk; for every disk, or for none")
	p.StringVar(&f.capture, "capture", "", "inline (the default), or tap with other disks")
	p.StringVar(&f.Listen, "listen", "", "where the disks are served to the machine: host:port, or the path of a unix socket")
	f.place.register(c)
	f.vms.choose(c)
	f.wait.register(c, 24*time.Hour)
	f.out.register(c)
	completeWords(c, "capture", "inline", "tap")
	return c
}

// disksOf reads NAME=PATH.
func disksOf(args []string) (out []spec.TargetDisk, err error) {
	for _, x := range args {
		name, path, ok := strings.Cut(x, "=")
		if !ok || name == "" || path == "" {
			return nil, usage("--disk %q: write NAME=PATH", x)
		}
		out = append(out, spec.TargetDisk{Name: name, Path: path})
	}
	return out, nil
}

// reprotected is what a reprotection prints as data.
type reprotected struct {
	api.ReprotectReply
	Direction string `json:"direction"`
	// SentBytes of ComparedBytes differed.
	ComparedBytes int64 `json:"comparedBytes,omitempty"`
	SentBytes     int64 `json:"sentBytes,omitempty"`
}

func (a *app) reprotect(ctx context.Context, c *client.Client, seen failback.Seen, f reprotectFlags) error {
	r := f.ReprotectRequest
	r.Job, r.Site = seen.Job.Name, seen.Job.Target.Site
	at := cmp.Or(r.To, seen.Job.Source.Site)
	if x := seen.Job.Reverses; seen.Reversed() { // the request only makes sure of that
		r.Round = x.Round
		r.Job, r.Site, r.As, at = x.Job, x.Site, cmp.Or(seen.Job.Of, seen.Job.Name), seen.Job.Target.Site
	} else if err := failback.Committed(seen.Job, seen.Run); err != nil {
		return err
	} else {
		r.Run = seen.Run.ID
	}
	return a.at(ctx, c, at, func(home *client.Client) error {
		reply, err := home.Reprotect(ctx, r, func(text string) { fmt.Fprintf(a.err, "  %s\n", text) })
		if err != nil {
			return err
		}
		out := reprotected{ReprotectReply: reply, Direction: reply.Job.Direction()}
		if f.DryRun {
			return f.out.facts(a.out, out, reply.Job.Name, func() error { return a.offered(reply) })
		}
		if f.out.text() {
			fmt.Fprintf(a.out, "%s replicates %s\n", reply.Job.Name, out.Direction)
		}
		for _, w := range reply.Warnings {
			fmt.Fprintf(a.err, "  %s\n", w)
		}
		if text := failback.CopyText(reply); text != "" {
			fmt.Fprintf(a.err, "  %s\n", text)
		}
		if !f.wait.no && (reply.Job.Source.Capture == cdp.Inline || reply.Job.Of != "") {
			if out.ComparedBytes, out.SentBytes, err = a.awaitReversed(ctx, home, reply.Job, f.out.text()); err != nil {
				return err
			}
		}
		return f.out.facts(a.out, out, reply.Job.Name, func() error {
			if out.ComparedBytes > 0 && reply.Job.Adopts() {
				fmt.Fprintf(a.out, "%s of %s differed and were sent\n", humanize.IBytes(uint64(out.SentBytes)), humanize.IBytes(uint64(out.ComparedBytes)))
			}
			return nil
		})
	})
}

// offered says what a reprotection would do.
func (a *app) offered(r api.ReprotectReply) error {
	fmt.Fprintf(a.out, "%s will replicate %s\n", r.Job.Name, r.Job.Direction())
	for _, w := range r.Warnings {
		fmt.Fprintf(a.out, "  %s\n", w)
	}
	for _, d := range r.Job.Target.Disks {
		fmt.Fprintf(a.out, "  disk %s to %s\n", d.Name, d.Path)
	}
	for _, text := range []string{failback.CopyText(r), failback.OfferText(r)} {
		if text != "" {
			fmt.Fprintf(a.out, "%s\n", text)
		}
	}
	return nil
}

// awaitReversed waits until a reversed job is protected, and shows where its disks are
// served as soon as they are. It gives how much was compared, and how much of it sent.
func (a *app) awaitReversed(ctx context.Context, c *client.Client, j spec.ReplicationJob, say bool) (compared, sent int64, err error) {
	m := newMeter(a, j.Name)
	defer m.close()
	told := !say
	show := func(g health.Group) {
		if g.Capture != nil && len(g.Capture.Exports) > 0 && !told && j.Of == "" {
			told = true
			for _, x := range g.Capture.Exports {
				fmt.Fprintf(a.out, "the machine's disk at %s  %s\n", j.Source.Site, x)
			}
		}
		m.show(g.Progress())
	}
	if err := c.AwaitProtected(ctx, j.Name, show); err != nil {
		return 0, 0, err
	}
	g, err := c.GroupStatus(ctx, j.Name)
	if err != nil || g.Capture == nil {
		return 0, 0, err
	}
	show(g)
	compared, sent = g.Copied()
	return compared, sent, nil
}

// at calls fn with a client of a site: c, if that is its site.
func (a *app) at(ctx context.Context, c *client.Client, site cdp.Site, fn func(*client.Client) error) error {
	if c.Site() == site {
		return fn(c)
	}
	there := *a
	there.conn.site, there.traced = string(site), "" // the command has a trace
	if a.conn.nats != "" {
		return elsewhere(site)
	}
	err := there.with(ctx, func(_ context.Context, c *client.Client) error { return fn(c) })
	if cdp.Is(err, cdp.NotFound) && strings.Contains(err.Error(), "find the bus") {
		return elsewhere(site)
	}
	return err
}

func elsewhere(site cdp.Site) error {
	return cdp.Errorf(cdp.Conflict, "find the bus", string(site), "this has to be asked at the site %s, which cannot be reached from here", site).
		WithHint("run the same command there: --site " + string(site))
}

// eachAway calls fn with a job, or with the job of each VM of a job on VMs that was failed
// over, or of those that are chosen. All of those are tried; the error is the first.
func (a *app) eachAway(ctx context.Context, c *client.Client, name string, f reprotectFlags, fn func(string) error) error {
	names, err := c.JobsOf(ctx, name)
	switch {
	case err != nil:
		return err
	case len(names) == 0 && f.vms.given():
		return usage("--vm is for jobs on VMs, and %s is none", name)
	case len(names) == 0:
		return fn(name)
	case f.vms.given():
		if names, err = f.vms.pick(name, names, a.vmNames(ctx, c, name)); err != nil {
			return err
		}
	}
	if len(names) > 1 && f.Place != nil && len(f.Place.Seeds) > 0 {
		return usage("--seed is for one VM, and %s has %d: choose it with --vm", name, len(names))
	}
	away := 0
	for _, vm := range names {
		seen, failed := c.InForce(ctx, vm)
		if failed == nil && seen.Stayed() {
			fmt.Fprintf(a.err, "  %s was not failed over: it runs at %s\n", vm, seen.Job.Source.Site)
			continue
		}
		away++
		if failed == nil {
			failed = fn(vm)
		}
		if failed != nil {
			err = cmp.Or(err, cdp.Wrap(failed, "do it for", vm))
		}
	}
	if away == 0 {
		return cdp.Errorf(cdp.Conflict, "find the VMs to bring home", name, "none of its %d VMs was failed over", len(names)).
			WithHint("see: tidemark status " + name)
	}
	return err
}
