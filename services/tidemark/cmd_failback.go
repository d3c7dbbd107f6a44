package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
)

func (a *app) cmdFailback() *cobra.Command {
	var f reprotectFlags
	c := &cobra.Command{
		Use: "failback JOB", Short: "Bring a machine home after a committed failover, and protect it again", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long(`Bring the machine of a job home after a failover was committed, step by step:

  1. reprotect   the machine is protected back to its home site; see: tidemark reprotect
  2. failover    planned: its last writes are sent home first, and none is lost
  3. commit      its disks at home are the machine's from now on
  4. reprotect   it is protected to the other site again, into the disks there

Each step that is done already is left out, and what is done is read from both sites: a
failback that was interrupted anywhere goes on when it is asked for again. Only differences
are sent, in both directions.

Of a VM, step 2 shuts the guest down and starts the VM at home. A guest that does not shut
down ends that step, unless --shutdown forced powers the VM off then. Of a job on VMs, the
VMs that were failed over are brought home one after the other, or those of --vm; the others
stay as they are.

Home is where the machine came from, or where you say: step 1 takes --to, --host, --cluster,
--datastore and the others as reprotect does. In step 4 the machine's disks where it ran last
are the replicas again. To have addresses changed at a new place, reprotect first, add
target.reIP to the new job, and ask for the failback then.

Any other machine is yours to shut down: step 2 is refused while it is connected to its
disks. Shut it down then, and ask again. Start it at home once step 4 has printed where its
disks are served. Old disks are overwritten in steps 1 and 4: confirm that with --yes.`),
		Example: "  tidemark failback shop --vm db1 --to spare --cluster c1 --datastore ds1 --network DR=LAN --yes\n  tidemark failback web --yes\n  tidemark failback shop --yes --shutdown forced --shutdown-wait 10m",
		RunE: func(c *cobra.Command, args []string) error {
			if f.shutdown.how == "none" && f.shutdown.wait != 0 {
				return usage("--shutdown-wait needs a shutdown that waits: graceful or forced")
			}
			var err error
			if f.Disks, err = disksOf(f.disks); err == nil {
				f.Place, err = f.place.place()
			}
			if err != nil {
				return err
			}
			f.To = cdp.Site(f.place.to)
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				ctx, cancel := f.wait.bound(ctx)
				defer cancel()
				return a.eachAway(ctx, cl, args[0], f, func(name string) error { return a.failback(ctx, cl, name, f) })
			})
		},
	}
	p := c.Flags()
	p.BoolVar(&f.Yes, "yes", false, "confirm that old disks are overwritten, and that points of an earlier round are dropped")
	p.StringArrayVar(&f.disks, "disk", nil, "NAME=PATH: a new or empty disk at home instead of the old one; for every disk, or for none")
	f.place.register(c)
	f.vms.choose(c)
	f.shutdown.register(c, "how a VM is shut down before it goes home: graceful (the default), forced, or none if it is off already", "how long its guest may take to shut down (default 5m)")
	p.DurationVar(&f.wait.timeout, "timeout", 24*time.Hour, "how long to wait")
	f.out.register(c)
	return c
}

// failback does one step after the other, each chosen by what is seen.
func (a *app) failback(ctx context.Context, c *client.Client, name string, f reprotectFlags) error {
	for {
		seen, err := a.goingTo(ctx, c, name, &f)
		if err != nil {
			return err
		}
		next, err := failback.Next(seen)
		if err != nil {
			return err
		}
		j := seen.Job
		if next == failback.Home {
			return f.out.facts(a.out, reprotected{Direction: j.Direction()}, j.Name, func() error {
				fmt.Fprintf(a.out, "%s is home: it replicates %s, and is protected\n", j.Name, j.Direction())
				return nil
			})
		}
		fmt.Fprintf(a.err, "%s %s (%s)\n", next, j.Name, j.Direction())
		quiet := *a
		if !f.out.text() {
			quiet.out = a.err
		}
		if err := quiet.failbackStep(ctx, c, seen, next, f); err != nil {
			return err
		}
	}
}

// seenOf is the job in force, with whether it is protected, as its target says.
func (a *app) seenOf(ctx context.Context, c *client.Client, name string) (seen failback.Seen, err error) {
	if seen, err = c.InForce(ctx, name); err != nil {
		return seen, err
	}
	err = a.at(ctx, c, seen.Job.Target.Site, func(there *client.Client) error {
		now, err := there.InForce(ctx, seen.Job.Name)
		if err != nil {
			return err
		}
		if seen = now; seen.Moved() {
			return nil
		}
		g, err := there.GroupStatus(ctx, seen.Job.Name)
		seen.Protected = g.State == health.Protected
		return err
	})
	if cdp.Is(err, cdp.Conflict) && seen.Moved() { // as far as it is known here, which is enough
		err = nil
	}
	return seen, err
}

func (a *app) failbackStep(ctx context.Context, c *client.Client, seen failback.Seen, next failback.Step, f reprotectFlags) error {
	j := seen.Job
	if next == failback.Reprotect {
		f.out, f.wait.no = asTable, true // the next step waits
		if j.Round()%2 == 1 {            // to the other site again, to what was left there
			f.To, f.Place, f.Disks, f.Round = "", nil, nil, 0
		}
		return a.reprotect(ctx, c, seen, f)
	}
	return a.at(ctx, c, j.Target.Site, func(there *client.Client) error {
		asked := client.Asked{Job: j.Name}
		var err error
		switch next {
		case failback.Protect:
			_, _, err := a.awaitReversed(ctx, there, j, true)
			return err
		case failback.Failover:
			asked, err = there.StartFailover(ctx, f.homeward(j))
		case failback.Follow:
			asked.Run = seen.Run.ID
		case failback.Commit:
			asked, err = there.EndFailover(ctx, j.Name, client.Ending{Goal: recovery.Commit, Run: seen.Run.ID})
		}
		if err != nil {
			return err
		}
		return a.follow(ctx, there, asked, true, asTable)
	})
}

// homeward is the planned failover that brings a machine home.
func (f reprotectFlags) homeward(j spec.ReplicationJob) failoverrun.Request {
	r := failoverrun.Request{Job: j.Name, ID: shortID("failback"), Mode: recovery.Production, To: recovery.ToFiles, Planned: true, CommitPolicy: recovery.PolicyNone}
	if j.Of != "" {
		r.To, r.Shutdown, r.ShutdownWait = recovery.ToVM, recovery.Shutdown(f.shutdown.how), spec.Duration(f.shutdown.wait)
	}
	return r
}
