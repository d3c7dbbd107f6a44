package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/node"
)

func (a *app) cmdAudit() *cobra.Command {
	var out format
	var since, of, dir string
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

Records on the bus are kept for 400 days, as long as they take less than 48 MiB. Services
can add records under their own name only; nobody can change or remove one, but set-up's
password can delete the whole stream. --copy-of shows this site's copy of another one's
records.

Each machine also keeps what its services were asked, and what its linked sites were, in
files that no password of the bus reaches: DIR/SITE/audit, up to 128 MiB for each site.
--offline DIR shows those, with no service running; tidemark audit verify proves them.`),
		Example: `  tidemark audit --since 30d
  tidemark audit web -o json
  tidemark audit --offline /var/lib/tidemark --since 30d
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
			if dir != "" {
				records, err := a.keptRecords(dir, cdp.Site(of), from, about)
				return errors.Join(a.showRecords(&out, records), err)
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				records, err := cl.Audit(ctx, cmp.Or(cdp.Site(of), cl.Site()), from, about)
				if err != nil {
					return err
				}
				return a.showRecords(&out, records)
			})
		},
	}
	c.AddCommand(a.cmdAuditVerify())
	out.register(c)
	c.Flags().StringVar(&of, "copy-of", "", "a linked site, whose records are copied here")
	c.Flags().StringVar(&dir, "offline", "", "a directory with the files of records, instead of the bus")
	c.Flags().StringVar(&since, "since", "24h", "how far to go back: 15m, 30d, or a time in RFC 3339")
	return c
}

func (a *app) showRecords(out *format, records []api.AuditRecord) error {
	return out.print(a.out, records, []string{"time", "who", "from", "what", "about*", "outcome", "+reason"}, func(add func(...any)) {
		for _, r := range records {
			from := plain(r.From)
			if r.Claimed {
				from = "says " + from
			}
			add(clockText(r.At), cmp.Or(plain(r.Who), "-"), from, plain(r.Service+"."+r.What), plain(r.About), plain(r.Outcome), plain(r.Reason))
		}
	})
}

// keptRecords are those in files. The error says which are not as they were written; the
// others are given all the same.
func (a *app) keptRecords(dir string, of cdp.Site, since time.Time, about string) (out []api.AuditRecord, err error) {
	var broken []error
	err = node.KeptRecords(dir, of, func(r api.AuditRecord) error {
		if !r.At.Before(since) && (about == "" || r.About == about) {
			out = append(out, r)
		}
		return nil
	}, func(err error) { broken = append(broken, err) })
	if err == nil {
		err = client.Join(broken)
	}
	return out, err
}

func (a *app) cmdAuditVerify() *cobra.Command {
	var out format
	var holds string
	c := &cobra.Command{
		Use: "verify DIR", Short: "Prove that the files of records are as they were written", Args: cobra.ExactArgs(1),
		Long: long(`Follow the chain of each log of records in a directory, or a copy of one: each record
carries a hash over itself and the record before it. The first line that does not
fit is named. Services may be running.

HEAD is the hash of the newest record. Write it down elsewhere: --holds HASH later proves
that this record and all before it are as they were. Without it an end that was cut off,
or a chain that root wrote anew, cannot be seen. FILES GONE are the oldest, which made
way for newer ones.`),
		Example: "  tidemark audit verify /var/lib/tidemark\n  tidemark audit verify /mnt/copy/dr --holds 5f2c...",
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := node.VerifyRecords(args[0], holds)
			if err != nil {
				return err
			}
			bad := 0
			err = out.print(a.out, found, []string{"log", "records", "from", "to", "files gone", "state", "head"}, func(add func(...any)) {
				for _, p := range found {
					state := "proven"
					switch {
					case p.Problem != "":
						state = "NOT proven: " + plain(p.Problem)
					case !p.Holds:
						state = "NOT proven: no record has the hash that you gave"
					}
					add(plain(p.Dir), p.Records, clockText(p.From), clockText(p.To), p.Gone, state, p.Head)
				}
			})
			for _, p := range found {
				if !p.Proven() {
					bad++
				}
			}
			if bad > 0 {
				err = errors.Join(err, cdp.Errorf(cdp.Corrupt, "verify records", args[0], "%d of %s not proven", bad, plural(len(found), "log is", "logs are")))
			}
			return err
		},
	}
	out.register(c)
	c.Flags().StringVar(&holds, "holds", "", "the hash of a record that must be there")
	return c
}
