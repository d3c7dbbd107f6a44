package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// failoverFlags are the options of a run.
type failoverFlags struct {
	point, at, mode, to, listen, run string
	planned, ready, force, noReIP    bool
	policy                           string
	window                           time.Duration
	shutdown                         shutdownFlags
	vms                              vmFlags
	wait                             waitFlags
	out                              format
}

// failoverLong is the help of tidemark failover.
const failoverLong = `Make a job's disks available at the target site as they were at a recovery point.

  --mode test        touches neither production nor the replica, and replication
                     goes on. End it with: tidemark failover cleanup JOB
  --mode production  stops replication. With --to nbd the disks can be used at
                     once, while the replica is moved to the point in the
                     background; with --to files they are plain image files, which
                     are locked until the commit. End it with: tidemark failover
                     undo JOB, or tidemark failover commit JOB. A test of the job
                     that is still open is ended first

With --to vm, for a job that has a replica VM, a VM runs on the disks: in production
the replica VM with the replica's own disks, in a test another VM with disks of its
own, on the job's test networks. The VM is started and checked. A failed check ends
nothing: look at the VM and have it checked again (tidemark failover check JOB), then
commit, or undo, which discards what the VM wrote.

Without --point and --at a test uses the newest point, and production goes to the last
write that arrived with everything before it (--point last-write). With --planned the
source sends its last writes first, and none is lost. Without --planned the source site
is not needed, and the loss is reported.

The VM at the source does not run beside the replica VM. With --planned its guest is
shut down first, and nobody can power it on until an undo, which starts it again, or
after a commit: tidemark failover unfence JOB. A guest that does not shut down ends the
failover, unless --shutdown forced powers the VM off then. Without --planned, the VM at
the source is powered off as soon as the replica VM is on; if the source does not answer,
that is done when it returns, and the status says so until then. --shutdown none leaves
its power to you. What is not a VM of a vCenter is yours to shut down before.

Of a job on several VMs each VM is failed over by itself. Choose them with --vm, the most
important first, or --all: they start in that order, at most --parallel at the same time,
and one that fails stops no other. What must survive the loss of this terminal, or wait for
another VM, is for a plan: see tidemark plan.

With --commit-policy, or failover.commitPolicy in the job's spec, a production failover
that nobody ends is committed, or undone, some time after it was ready. A warning comes
before: see tidemark failover policy.`

func (a *app) cmdFailover() *cobra.Command {
	var f failoverFlags
	c := &cobra.Command{
		Use:   "failover JOB",
		Short: "Recover a job at its target site",
		Long:  long(failoverLong),
		Example: `  tidemark failover web --mode test
  tidemark failover web --mode test --at 2026-11-22T03:15:00Z
  tidemark failover web --mode production --planned
  tidemark failover web --mode production --to files --point p1234
  tidemark failover shop-db1 --mode production --planned --shutdown forced --shutdown-wait 10m
  tidemark failover shop-db1 --mode production --commit-policy=undo --commit-window 2h
  tidemark failover shop-db1 --mode test --to vm
  tidemark failover shop --mode production --planned --vm db1 --vm web1 --parallel 2
  tidemark failover status web
  tidemark failover undo web`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.request(args[0], a.clock().Now())
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := f.wait.bound(ctx)
				defer cancel()
				if f.vms.given() {
					return a.failoverVMs(ctx, cl, r, f)
				}
				return a.failover(ctx, cl, r, f)
			})
		},
	}
	p := c.Flags()
	p.StringVar(&f.point, "point", "", "the recovery point, as listed by: tidemark point list JOB; or latest, last-write, or proven (the newest whose last test passed)")
	p.StringVar(&f.at, "at", "", atHelp)
	p.StringVar(&f.mode, "mode", "", "test or production; required")
	p.StringVar(&f.to, "to", "", "vm, nbd or files (default: vm if the job has a replica VM, else nbd)")
	p.StringVar(&f.listen, "listen", "", "where to serve the disks: host:port, or the path of a unix socket")
	p.BoolVar(&f.planned, "planned", false, "include the source's last writes; the source site must be reachable")
	f.shutdown.register(c, "the VM at the source: none, or with --planned graceful (the default) or forced", "with --planned: how long its guest may take to shut down (default 5m)")
	f.registerPolicy(c)
	f.vms.register(c)
	p.BoolVar(&f.ready, "wait-ready", false, "with --to nbd: also wait until the replica has been moved to the point")
	p.BoolVar(&f.force, "force", false, "with --mode production: begin although clients read points of the job, or, with --planned, use the source's disks")
	p.BoolVar(&f.noReIP, "no-reip", false, "with --to vm: the guest keeps the addresses that it had at the source")
	p.StringVar(&f.run, "run", "", "a name for the run; starting it again under the same name is the same run")
	f.wait.register(c, 5*time.Minute)
	f.out.register(c)
	a.completeFlag(c, "point", pointNames)
	completeWords(c, "mode", "test", "production")
	completeWords(c, "to", "vm", "nbd", "files")
	c.AddCommand(a.cmdFailoverStatus(), a.cmdFailoverCheck(), a.cmdFailoverUnfence(), a.cmdFailoverPolicy())
	c.AddCommand(a.failoverEnds()...)
	return c
}

// shutdownFlags say how a failover powers off the VM that it moves.
type shutdownFlags struct {
	how  string
	wait time.Duration
}

func (f *shutdownFlags) register(c *cobra.Command, how, wait string) {
	c.Flags().StringVar(&f.how, "shutdown", "", how)
	c.Flags().DurationVar(&f.wait, "shutdown-wait", 0, wait)
	completeWords(c, "shutdown", "none", "graceful", "forced")
}

// request checks the flags and makes the run's request.
func (f failoverFlags) request(job string, now time.Time) (failoverrun.Request, error) {
	r := failoverrun.Request{Job: job, ID: f.run, Mode: recovery.Mode(f.mode), To: recovery.Destination(f.to), Point: f.point, Listen: f.listen, Planned: f.planned,
		Shutdown: recovery.Shutdown(f.shutdown.how), ShutdownWait: spec.Duration(f.shutdown.wait), Force: f.force, NoReIP: f.noReIP,
		CommitPolicy: recovery.Policy(f.policy), CommitWindow: spec.Duration(f.window)}
	switch {
	case f.vms.parallel < 1 && f.vms.given():
		return r, usage("--parallel %d: must be at least 1", f.vms.parallel)
	case cdp.IsPointID(f.point) && f.vms.given():
		return r, usage("--point %s is a point of one VM: with --vm or --all use --at, a tag, latest or last-write", f.point)
	}
	if f.mode == "" {
		return r, usage("no mode given: use --mode test, which does not touch production, or --mode production")
	}
	if r.ID == "" {
		r.ID = shortID(f.mode[:1])
	}
	if f.at != "" {
		t, err := parseTime(f.at, now)
		if err != nil {
			return r, err
		}
		r.At = &t
	}
	early := r
	early.To = cmp.Or(r.To, recovery.ToNBD)
	if r.To == "" && (r.Shutdown != "" || r.NoReIP) { // which only a failover to a VM takes
		early.To = recovery.ToVM
	}
	return r, early.Check()
}

// shortID is a name for a run or an export. It is part of the paths of sockets, which
// must be short.
func shortID(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:8]) }

// failover starts a run and follows it until the disks can be used.
func (a *app) failover(ctx context.Context, c *client.Client, r failoverrun.Request, f failoverFlags) error {
	asked, err := c.StartFailover(ctx, r)
	if err != nil {
		return err
	}
	if f.wait.no {
		return f.out.facts(a.out, map[string]string{"job": asked.Job, "id": asked.Run}, asked.Run, func() error {
			fmt.Fprintf(a.out, "started the run %s; see: tidemark failover status %s\n", asked.Run, asked.Job)
			return nil
		})
	}
	return a.follow(ctx, c, asked, f.ready, f.out)
}

// outcome says what came of a run, and is an error if it failed.
func (a *app) outcome(s failoverrun.Run, out format) error {
	if !out.text() {
		if err := out.facts(a.out, s, s.ID, nil); err != nil {
			return err
		}
	}
	if s.Phase == recovery.Failed {
		e := cdp.Errorf(s.Kind, "failover", s.Job, "%s", s.Error).WithHint(s.Hint)
		if s.Hint == "" && !s.Over() {
			e.Hint = "the run still holds resources: tidemark failover undo " + s.Job + ", or run the same command again"
		}
		return e
	}
	if out.text() {
		a.describe(s)
	}
	return nil
}

func (a *app) cmdFailoverUnfence() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "unfence JOB", Short: "Let the VM at the source of a committed failover be powered on again", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long(`Let the VM at the source of a committed failover be powered on again. A failover to a
VM powers it off and forbids its power-on, so that it does not run beside the replica
VM. Nothing is powered on by this command. It is carried out when the source answers:
see tidemark failover status JOB. Before a commit, tidemark failover undo JOB takes all
of it back.`),
		Example: "  tidemark failover unfence shop-db1",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				group, err := cl.Unfence(ctx, args[0])
				if err != nil && !cdp.Is(err, cdp.Duplicate) {
					return err
				}
				return out.facts(a.out, map[string]string{"job": string(group)}, string(group), func() error {
					fmt.Fprintf(a.out, "the VM at the source of %s can be powered on as soon as the source answers: tidemark failover status %s\n", group, group)
					return nil
				})
			})
		},
	}
	out.register(c)
	return c
}

func (a *app) cmdFailoverStatus() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "status JOB", Short: "Show the state of a job's failover", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long("Show the state of the last run, its steps and how long each took, where the disks are, and what was lost. With -o wide also when each step began and ended."), Example: "  tidemark failover status web",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				group, err := cl.Group(ctx, args[0])
				if err != nil {
					return err
				}
				st, err := cl.Failover(ctx, group)
				if err != nil {
					return err
				}
				if st == nil {
					return cdp.Errorf(cdp.NotFound, "failover status", string(group), "no failover was ever started for it")
				}
				return out.facts(a.out, st, st.ID, func() error {
					a.describe(*st)
					a.describeWritten(ctx, cl, *st)
					fmt.Fprintln(a.out)
					return out.print(a.out, nil, []string{"step", "state", "lasted", "", "+start", "+end"}, func(add func(...any)) {
						for _, s := range st.Steps {
							add(s.Step, s.Status, lastedText(s), s.Text, clockText(s.StartedAt), clockText(s.EndedAt))
						}
					})
				})
			})
		},
	}
	out.register(c)
	return c
}
