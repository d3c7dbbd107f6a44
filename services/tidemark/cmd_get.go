package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

func (a *app) cmdGet() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use:   "get [KIND [NAME]]",
		Short: "Show sites, jobs and plans as they were applied",
		Long:  long("Show sites, jobs and site recovery jobs. The output of -o yaml can be applied again."),
		Example: `  tidemark get
  tidemark get job
  tidemark get job web -o yaml`,
		Args: cobra.MaximumNArgs(2), ValidArgsFunction: a.complete(kinds, ofKind),
		RunE: func(c *cobra.Command, args []string) error {
			kind, name, err := kindAndName(args)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				objects, err := cl.Objects(ctx, kind, name)
				if err != nil {
					return err
				}
				if out == asJSON || out == asYAML {
					return a.write(out, objects)
				}
				return a.list(ctx, cl, out, objects)
			})
		},
	}
	out.register(c)
	return c
}

// kindAndName reads the names that people use for kinds.
func kindAndName(args []string) (kind, name string, err error) {
	if len(args) == 0 {
		return "", "", nil
	}
	switch strings.ToLower(args[0]) {
	case "job", "jobs", "replicationjob", "replicationjobs":
		kind = spec.KindJob
	case "site", "sites":
		kind = spec.KindSite
	case "plan", "plans", "siterecoveryjob", "siterecoveryjobs":
		kind = spec.KindPlan
	default:
		return "", "", usage("unknown kind %q: use job, site or plan", args[0])
	}
	if len(args) > 1 {
		name = args[1]
	}
	return kind, name, nil
}

// write prints objects as documents that can be applied again.
func (a *app) write(out format, objects []spec.Object) error {
	docs := []any{}
	for i, o := range objects {
		data, err := spec.Encode(o)
		if err != nil {
			return err
		}
		if out == "yaml" {
			if i > 0 {
				data = append([]byte("---\n"), data...)
			}
			if _, err := a.out.Write(data); err != nil {
				return err
			}
			continue
		}
		var doc any
		if err := yaml.Unmarshal(data, &doc); err != nil {
			return cdp.Wrap(err, "write", o.Name())
		}
		docs = append(docs, doc)
	}
	if out == "yaml" {
		return nil
	}
	return out.print(a.out, docs, nil, nil)
}

// list prints a line per object. It asks the vcenter service about jobs on VMs, and
// prints what is known without it if it does not answer.
func (a *app) list(ctx context.Context, c *client.Client, out format, objects []spec.Object) error {
	var states map[string]*api.VMJobState
	vms := map[string]int{}
	for _, o := range objects {
		if o.VMJob == nil {
			continue
		}
		states, _ = c.VMJobStates(ctx, "")
		list, err := c.ProtectedVMs(ctx, "")
		if err != nil {
			return err
		}
		for _, m := range list {
			vms[m.Of]++
		}
		break
	}
	return out.print(a.out, nil, []string{"kind", "name*", "from", "to", "what", "rpo", "journal"}, func(add func(...any)) {
		for _, o := range objects {
			switch {
			case o.Job != nil:
				j := o.Job
				add(o.Kind(), j.Name, j.Source.Site, j.Target.Site, jobText(*j), j.RPO, journalText(j.Journal))
			case o.VMJob != nil:
				j := o.VMJob
				add(o.Kind(), j.Name, j.SourceSite, j.TargetSite, vmJobText(states[j.Name], vms[j.Name]), j.RPO, journalText(j.Journal))
			case o.Plan != nil:
				add(o.Kind(), o.Plan.Name, "", o.Plan.Site, count(len(o.Plan.Actions), "action"), "", "")
			default:
				add(o.Kind(), o.Site.Name, "", "", o.Site.Kind, "", "")
			}
		}
	})
}

func journalText(j spec.Journal) string { return string(j.Mode) + " " + j.History.String() }

func jobText(j spec.ReplicationJob) string {
	what := count(len(j.Source.Disks), "disk")
	if j.Of != "" {
		what += ", a VM of " + j.Of
	}
	return what
}

// vmJobText says how many VMs a job on VMs has, and whether it runs; without a state
// n is how many have a job of their own.
func vmJobText(st *api.VMJobState, n int) string {
	switch {
	case st == nil:
		return count(n, "VM")
	case st.Running:
		return count(len(st.Members), "VM") + ", running"
	}
	return count(len(st.Members), "VM") + ", stopped"
}

// count is n of a thing, in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
