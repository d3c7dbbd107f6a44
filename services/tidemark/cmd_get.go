package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/spec"
)

func (a *app) cmdGet() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use:   "get [KIND [NAME]]",
		Short: "Show what was described with apply",
		Long:  long("Show sites and jobs. With -o yaml the output can be applied again."),
		Example: `  tidemark get
  tidemark get job
  tidemark get job web -o yaml`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			kind, name, err := kindAndName(args)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client) error {
				objects, err := cl.objects(ctx, kind, name)
				if err != nil {
					return err
				}
				return a.show(out, objects)
			})
		},
	}
	out.register(c)
	return c
}

// kindAndName reads what people call kinds.
func kindAndName(args []string) (kind, name string, err error) {
	if len(args) == 0 {
		return "", "", nil
	}
	switch strings.ToLower(args[0]) {
	case "job", "jobs", "replicationjob", "replicationjobs":
		kind = spec.KindJob
	case "site", "sites":
		kind = spec.KindSite
	default:
		return "", "", usage("no kind %q: there are job and site", args[0])
	}
	if len(args) > 1 {
		name = args[1]
	}
	return kind, name, nil
}

// objects lists what is described; empty kind and name mean any.
func (c *client) objects(ctx context.Context, kind, name string) ([]spec.Object, error) {
	var out []spec.Object
	if kind != spec.KindJob {
		b, err := c.sites(ctx)
		if err == nil {
			err = collect(ctx, b, name, func(s spec.Site) { out = append(out, spec.Object{Site: &s}) })
		}
		if err != nil {
			return nil, err
		}
	}
	if kind != spec.KindSite {
		b, err := c.jobs(ctx)
		if err == nil {
			err = collect(ctx, b, name, func(j spec.ReplicationJob) { out = append(out, spec.Object{Job: &j}) })
		}
		if err != nil {
			return nil, err
		}
	}
	if name != "" && len(out) == 0 {
		return nil, cdp.Errorf(cdp.NotFound, "get", kind+" "+name, "there is none of this name at site %s", c.site)
	}
	return out, nil
}

// collect calls add with every value of a bucket, or with that of one key.
func collect[T any](ctx context.Context, b *bus.Bucket[T], only string, add func(T)) error {
	keys := []string{only}
	if only == "" {
		var err error
		if keys, err = b.Keys(ctx); err != nil {
			return err
		}
		slices.Sort(keys)
	}
	for _, k := range keys {
		x, err := b.Get(ctx, k)
		if cdp.Is(err, cdp.NotFound) || only != "" && cdp.Is(err, cdp.Invalid) {
			continue
		}
		if err != nil {
			return err
		}
		add(x.Value)
	}
	return nil
}

func (a *app) show(out format, objects []spec.Object) error {
	var docs []any
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
	return out.print(a.out, docs, []string{"kind", "name", "from", "to", "disks", "rpo", "journal"}, func(add func(...any)) {
		for _, o := range objects {
			if j := o.Job; j != nil {
				add(o.Kind(), j.Name, j.Source.Site, j.Target.Site, len(j.Source.Disks), j.RPO, string(j.Journal.Mode)+" "+j.Journal.History.String())
				continue
			}
			add(o.Kind(), o.Site.Name, "", "", "", "", "")
		}
	})
}
