package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/services/node"
)

func (a *app) cmdApprove() *cobra.Command {
	var as, file string
	var within time.Duration
	var printKey bool
	var out format
	c := &cobra.Command{
		Use:   "approve WHAT JOB OF",
		Short: "Agree, as one of two persons, to what destroys history",
		Long: long(`Agree to the deletion of a job, the commit of a failover, the shortening of what a journal
keeps, or the removal of a recovery point, at a site whose configuration names approvers.
Two of them have to agree, each with a key of his own; then anybody who may gives the
command again. The refusal of the command says what to write as WHAT, JOB and OF.

What is agreed to is one act: this run, or the job as it is described now. It ends after
--within, and at the latest in a day.

--print-key makes the key in --key if there is none, prints its public half for the
site's configuration, and ends. The file never leaves the person.`),
		Example: `  tidemark approve --print-key --key ~/ana.key
  tidemark approve delete erp-db 'revision 17' --site dr --as ana --key ~/ana.key`,
		Args: func(c *cobra.Command, args []string) error {
			if printKey {
				return cobra.NoArgs(c, args)
			}
			return cobra.ExactArgs(3)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if file == "" || as == "" && !printKey {
				return usage("say who agrees, with which key: --as NAME --key FILE")
			}
			key, err := node.LoadApproverKey(file)
			if err != nil {
				return err
			}
			if printKey {
				fmt.Fprintln(a.out, node.PublicHalf(key))
				return nil
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				act := approval.Act{Site: cl.Site(), What: approval.What(args[0]), Job: args[1], Of: args[2]}
				r, err := cl.Approve(ctx, approval.Sign(act, as, a.clock().Now().Add(within), key))
				if err != nil {
					return err
				}
				return out.facts(a.out, r, act.Job, func() error {
					next := "one more has to"
					if len(r.Agreed) >= r.Needed {
						next = "give the command now"
					}
					_, err := fmt.Fprintf(a.out, "%s: %s agreed; %s\n", act, strings.Join(r.Agreed, " and "), next)
					return err
				})
			})
		},
	}
	c.Flags().StringVar(&as, "as", "", "your name among the site's approvers")
	c.Flags().StringVar(&file, "key", "", "file with your key")
	c.Flags().DurationVar(&within, "within", 4*time.Hour, "for how long you agree")
	c.Flags().BoolVar(&printKey, "print-key", false, "print the public half of the key, and end")
	out.register(c)
	return c
}
