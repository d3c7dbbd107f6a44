package main

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/node"
)

func (a *app) cmdVerify() *cobra.Command {
	var out format
	var dir string
	var keys []string
	c := &cobra.Command{
		Use: "verify --offline DIR [JOB...]", Short: "Prove that journals are whole and untampered, with no service running",
		Long: long(`Prove that journals are, to the last bit, what their source sent: the frames continue
one another without a gap, their content is what was sealed, recovery points and index
fit them, and the source's signatures cover them. The first frame that does not fit is
named, with the first recovery point that needs it. Nothing is changed.

DIR is the directory of tidemark up or of a journal service, which must be stopped, or a
copy of it. Signatures count if they are made with the key that the journal service has
bound to the source site (DIR/SITE/journal/signers), or with one that you give with --key.
For a proof that does not rest on the target's machine, take the key from the source:
DIR/SITE/capture/signing.pub.

What the history rests on, the replica and what blocks held before the oldest frame, has
checksums that the journal service compares, and no signature. An end that was cut off
cannot be seen: compare the newest frame with what you know of elsewhere.`),
		Example: `  tidemark verify --offline /var/lib/tidemark
  tidemark verify --offline /mnt/copy web --key "$(ssh prod cat /var/lib/tidemark/prod/capture/signing.pub)"`,
		RunE: func(_ *cobra.Command, jobs []string) error {
			if dir == "" {
				return usage("verify reads a directory: --offline DIR")
			}
			found, err := node.Verify(dir, jobs, keys)
			if err != nil {
				return err
			}
			if out.text() {
				for _, v := range found {
					a.sayVerified(v)
				}
			} else if err := out.print(a.out, found, []string{"job"}, func(add func(...any)) {
				for _, v := range found {
					add(v.Job)
				}
			}); err != nil {
				return err
			}
			return notProven(found)
		},
	}
	out.register(c)
	c.Flags().StringVar(&dir, "offline", "", "the directory with the journals; required")
	c.Flags().StringArrayVar(&keys, "key", nil, "a public key of the source, instead of the bound ones; can be repeated")
	return c
}

// notProven is an error that names the journals that are not proven; nil if all are.
func notProven(found []node.Verified) error {
	n := 0
	for _, v := range found {
		if v.Problem != "" {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return cdp.Errorf(cdp.Corrupt, "verify journals", "", "%d of %s not proven", n, plural(len(found), "journal is", "journals are"))
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// sayVerified prints for people what a journal proves.
func (a *app) sayVerified(v node.Verified) {
	say := func(format string, args ...any) { fmt.Fprintln(a.out, plain(fmt.Sprintf(format, args...))) }
	if v.Problem == "" {
		say("%s: proven", v.Job)
	} else {
		say("%s: NOT proven: %s", v.Job, v.Problem)
		if v.Hint != "" {
			say("  do      %s", v.Hint)
		}
	}
	if v.To == 0 {
		return
	}
	say("  history frames %d to %d, %s", v.From, v.To, plural(v.Points, "recovery point", "recovery points"))
	if v.Proven != 0 {
		say("  signed  up to frame %d, with the key %s", v.Proven, v.Key)
	}
	if v.Proven != 0 && v.Proven < v.To {
		say("  open    frames %d to %d, written since the newest signed point", v.Proven+1, v.To)
	}
	if n := len(v.Unsigned); n > 0 {
		say("  unsigned %s, such as %s; the first %d are proven by later ones", plural(n, "recovery point", "recovery points"), v.Unsigned[0], v.Covered)
	}
	if v.Undigested > 0 {
		say("  older   the content of %s frames has checksums and no digest: an older version sent them", humanize.Comma(int64(v.Undigested)))
	}
	for _, f := range v.Faults {
		say("  fault   frame %d: %s", f.Frame, f.What)
	}
}
