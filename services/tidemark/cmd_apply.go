package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

func (a *app) cmdApply() *cobra.Command {
	var files []string
	var dry bool
	var out format
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or change sites, jobs and plans from YAML files",
		Long: long(`Read YAML documents (apiVersion, kind, metadata, spec) and create or change what they
describe. Apply a job at its target site. All documents are checked first, jobs on VMs
also against the vCenters of both sites, jobs of disks against the files and devices of
both: they must be disks, and no other job's under any name. A site that does not answer
cannot be checked, so the job is refused. If anything is wrong, every problem is
reported and nothing is changed. A new job does not run until: tidemark job run NAME

What does not prevent a job is a warning on standard error, such as a tag or a reIP
subnet that matches no VM yet, or a problem that the job had before the change. It
also shows in the job's status.

When a job on VMs changes, the VMs that join and leave it are listed. No more recovery
points are made of a VM that leaves, but its journal and its replica stay until you
release it with: tidemark delete job. A warning names each change that existing
replicas do not follow, such as host, cluster, datastore, folder and pool.`),
		Example: `  tidemark apply -f web.yaml
  tidemark apply -f sites.yaml -f jobs.yaml --dry-run
  cat web.yaml | tidemark apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return usage("no file given: use -f FILE")
			}
			objects, err := a.read(files)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error { return a.apply(ctx, cl, objects, dry, out) })
		},
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "file to read, or - for standard input; can be repeated")
	out.register(c)
	c.Flags().BoolVar(&dry, "dry-run", false, "check everything and print what would change, but change nothing")
	return c
}

// read parses all files; the error has the problems of all of them.
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
	return objects, client.Join(bad)
}

// problems lists what is wrong with a file, one problem per line.
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

func (a *app) apply(ctx context.Context, c *client.Client, objects []spec.Object, dry bool, out format) error {
	replies, err := c.Apply(ctx, objects, dry)
	if err != nil && dry {
		return err
	}
	if out.text() {
		for i, r := range replies {
			a.applied(objects[i], r, dry)
		}
		return err
	}
	perr := out.print(a.out, replies, []string{"name"}, func(add func(...any)) {
		for _, r := range replies {
			add(r.Name)
		}
	})
	if err == nil {
		err = perr
	}
	return err
}

// applied says what became of one object.
func (a *app) applied(o spec.Object, r api.ApplyReply, dry bool) {
	note := ""
	if r.VMs != nil {
		note = fmt.Sprintf(" (%s)", count(*r.VMs, "VM"))
	}
	switch {
	case dry:
		note += " (dry run)"
	case o.Plan != nil && r.Change != api.Unchanged:
		note += "; test it with: tidemark plan test " + o.Name()
	case r.Change == api.Created && o.Plan == nil && o.Site == nil:
		note += "; start it with: tidemark job run " + o.Name()
	}
	fmt.Fprintf(a.out, "%s %s %s%s\n", strings.ToLower(o.Kind()), o.Name(), r.Change, note)
	if len(r.Joins) > 0 {
		fmt.Fprintf(a.out, "  joins: %s\n", strings.Join(r.Joins, ", "))
	}
	if len(r.Leaves) > 0 {
		fmt.Fprintf(a.out, "  leaves: %s; no new recovery points are made of them, but what they have stays: journal and replica\n", strings.Join(r.Leaves, ", "))
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(a.err, "warning: %s: %s\n", o.Name(), w)
	}
}
