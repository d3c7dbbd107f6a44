package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
)

func (a *app) cmdAudit() *cobra.Command {
	var out format
	var since, of string
	c := &cobra.Command{
		Use:   "audit [NAME]",
		Short: "Show what the services of this site were asked, by whom, and what came of it",
		Long: long(`Show the records of commands and of requests that change something at this site: when,
for whom, from where, what, and whether it was done or refused, with the reason. NAME is
a job, plan or site. -o json shows the input, too.

WHO is what the caller says, such as the user and host of a command line. FROM is the site
and the service that sent it. The site's server vouches for it, except where several may
ask for the same: "says" marks what the caller says himself. Points that a job's schedule makes are
not recorded.

Records are kept for 400 days, as long as they take less than 48 MiB. Services can add
records under their own name only; nobody can change or remove one. Set-up's password can
delete the whole stream, but not the copies that the linked sites have: --copy-of shows
this site's copy of another one's records.`),
		Example: `  tidemark audit --since 30d
  tidemark audit web -o json
  tidemark audit --site dr --copy-of prod --since 30d`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			from, err := parseTime(since, a.clock().Now())
			if err != nil {
				return err
			}
			about := ""
			if len(args) > 0 {
				about = args[0]
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				records, err := cl.Audit(ctx, cmp.Or(cdp.Site(of), cl.Site()), from, about)
				if err != nil {
					return err
				}
				return out.print(a.out, records, []string{"time", "who", "from", "what", "about*", "outcome", "+reason"}, func(add func(...any)) {
					for _, r := range records {
						from := plain(r.From)
						if r.Claimed {
							from = "says " + from
						}
						add(clockText(r.At), cmp.Or(plain(r.Who), "-"), from, r.Service+"."+r.What, plain(r.About), r.Outcome, plain(r.Reason))
					}
				})
			})
		},
	}
	out.register(c)
	c.Flags().StringVar(&of, "copy-of", "", "a linked site, whose records this site has a copy of")
	c.Flags().StringVar(&since, "since", "24h", "how far to go back: 15m, 30d, or a time in RFC 3339")
	return c
}
