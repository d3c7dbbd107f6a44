package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
)

func (a *app) cmdExport() *cobra.Command {
	var point, at, listen string
	var scratch, detach bool
	var out format
	c := &cobra.Command{
		Use:   "export JOB --point POINT",
		Short: "Serve a job's disks at a recovery point over NBD",
		Long: long(`Serve the disks of a job as they were at a recovery point, read-only. With --scratch
they are writable, and what is written is discarded in the end; the replica does not
change. They are served until ctrl-c, which disconnects clients, or with --detach until:
tidemark export close`),
		Example: `  tidemark export web --point p123
  tidemark export web --at 15m --scratch --listen 127.0.0.1:10810 --detach
  tidemark export list web
  tidemark export close web x-01k0`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		RunE: func(c *cobra.Command, args []string) error {
			r := client.ExportRequest{Job: args[0], What: api.ResolveRequest{Point: point}, ID: shortID("x"), Scratch: scratch, Listen: listen}
			if at != "" {
				t, err := parseTime(at, a.clock().Now())
				if err != nil {
					return err
				}
				r.What.At = &t
			}
			if (point == "") == (at == "") {
				return usage("no point given: use --point or --at")
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				return a.export(ctx, cl, r, detach, out)
			})
		},
	}
	c.Flags().StringVar(&point, "point", "", "the recovery point: p123, latest or a tag")
	c.Flags().StringVar(&at, "at", "", atHelp)
	c.Flags().BoolVar(&scratch, "scratch", false, "make the disks writable; what is written is discarded in the end")
	c.Flags().StringVar(&listen, "listen", "", "where to listen: host:port, or the path of a unix socket (default: a socket of the journal)")
	c.Flags().BoolVar(&detach, "detach", false, "return at once, and keep serving")
	out.register(c)
	a.completeFlag(c, "point", pointNames)
	c.AddCommand(a.cmdExportList(), a.cmdExportClose())
	return c
}

// opened is an export as it is printed: with the point that it shows.
type opened struct {
	api.Export
	At api.Resolved `json:"at"`
}

func (a *app) export(ctx context.Context, c *client.Client, r client.ExportRequest, detach bool, out format) error {
	x, res, err := c.OpenExport(ctx, r)
	if err != nil {
		return err
	}
	err = out.facts(a.out, opened{x, res}, x.ID, func() error {
		fmt.Fprintf(a.out, "export %s of %s at write %d, %s %s\n", x.ID, x.Group, x.Seq, clockText(res.Time), boundText(res.Bound))
		for _, d := range x.Disks {
			fmt.Fprintf(a.out, "  %s  %s  %s\n", d.Name, humanize.IBytes(uint64(d.Size)), d.URI)
		}
		if detach {
			fmt.Fprintf(a.out, "close it with: tidemark export close %s %s\n", x.Group, x.ID)
		}
		return nil
	})
	if err != nil || detach {
		return err
	}
	if out.text() {
		fmt.Fprintln(a.out, "serving until ctrl-c")
	}
	<-ctx.Done()
	return c.CloseExport(context.WithoutCancel(ctx), string(x.Group), x.ID, true)
}

func (a *app) cmdExportList() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list JOB", Short: "List a job's open exports", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long("List open exports, those of failovers included."), Example: "  tidemark export list web",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				all, err := cl.Exports(ctx, args[0])
				if err != nil {
					return err
				}
				return out.print(a.out, all, []string{"export", "purpose", "write", "disk", "written", "uri"}, func(add func(...any)) {
					for _, x := range all {
						for _, d := range x.Disks {
							add(x.ID, x.Purpose, x.Seq, d.Name, humanize.IBytes(uint64(d.Written)), cmp.Or(d.URI, x.Trouble))
						}
					}
				})
			})
		},
	}
	out.register(c)
	return c
}

func (a *app) cmdExportClose() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "close JOB ID", Short: "Close an export and discard what was written to it", Args: cobra.ExactArgs(2), ValidArgsFunction: a.complete(jobNames, exportNames),
		Long: long("Close an export that nobody uses. The exports of a failover close with: tidemark failover\ncleanup, undo or commit."), Example: "  tidemark export close web x-01k0",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				if err := cl.CloseExport(ctx, args[0], args[1], force); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "%s closed\n", args[1])
				return nil
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "disconnect its clients")
	return c
}
