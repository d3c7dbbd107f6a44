package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"tidemark.dev/pkg/clock"
)

// app is one run of the command line.
type app struct {
	in       io.Reader
	out, err io.Writer
	began    bool // the arguments were understood
	// traced is the command, if a collector of traces is shown what comes of it.
	traced string
	conn   connectFlags
}

// clock is the time of the command line.
func (a *app) clock() clock.Clock { return clock.System }

// run runs the command line and gives its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	a := &app{in: in, out: out, err: errw}
	root := a.root()
	root.SetArgs(args)
	at, err := root.ExecuteContextC(ctx)
	if err != nil && !a.began {
		err = usageError{errors.New(strings.Join(strings.Fields(err.Error()), " "))} // suggestions are on lines of their own
	}
	if err != nil {
		report(errw, err)
		if u := (usageError{}); errors.As(err, &u) {
			fmt.Fprintf(errw, "  hint: %s --help\n", at.CommandPath())
		}
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tidemark",
		Short: "Continuous data protection for virtual machines",
		Long: `Tidemark replicates the disks of running virtual machines to another site as they
are written, and recovers them there at any recovery point.

` + exitHelp,
		Example: `  tidemark up                              run two sites with all services in one process
  tidemark apply -f web.yaml               describe a job
  tidemark job run web                     start it
  tidemark status                          is everything protected?
  tidemark failover web --mode test        test a recovery; production is not touched
  tidemark failover web --mode production  recover

  tidemark apply -f sites.yaml             describe two vCenters
  tidemark site check                      can they be used?
  tidemark inventory                       what do they have?`,
		Version:       thisBuild().String(),
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(c *cobra.Command, _ []string) {
			a.began = true
			if path := strings.Fields(c.CommandPath()); len(path) > 1 && slices.Contains(tracedCommands, path[1]) {
				a.traced = c.CommandPath()
			}
		},
	}
	root.SetVersionTemplate("tidemark {{.Version}}\n")
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.CompletionOptions.HiddenDefaultCmd = false
	a.conn.register(root)
	a.completeFlag(root, "site", siteNamesOf)
	root.AddCommand(
		a.cmdUp(), a.cmdServe(), a.cmdWitness(), a.cmdConfig(),
		a.cmdApply(), a.cmdGet(), a.cmdDelete(),
		a.cmdJob(), a.cmdPoint(), a.cmdFailover(), a.cmdReprotect(), a.cmdFailback(), a.cmdExport(), a.cmdPlan(),
		a.cmdSite(), a.cmdInventory(), a.cmdTransporter(), a.cmdIOFilter(), a.cmdClock(),
		a.cmdStatus(), a.cmdHealth(), a.cmdTop(), a.cmdEvents(), a.cmdAudit(), a.cmdApprove(), a.cmdDeadLetter(), a.cmdBus(), a.cmdSchema(), a.cmdNATSContext(), a.cmdTap(), a.cmdRepair(), a.cmdVerify(), a.cmdMan(), a.cmdVersion(), a.cmdAppliance(),
	)
	return root
}

// tracedCommands are the commands that change something, with those below them.
var tracedCommands = []string{"apply", "delete", "job", "point", "failover", "reprotect", "failback", "export", "plan", "transporter", "iofilter"}

// group is a command that only has subcommands.
func group(use, short, example string, sub ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long(short + "."), Example: example, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usage("%s needs a command", c.CommandPath())
		}}
	c.AddCommand(sub...)
	return c
}

// long is the long help of a command, with the exit codes.
func long(text string) string { return text + "\n\n" + exitHelp }
