package main

import (
	"context"
	"fmt"

	"tidemark.dev/pkg/client"
	"tidemark.dev/services/node"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
)

func (a *app) cmdTap() *cobra.Command {
	var t tap
	c := &cobra.Command{
		Use:   "attach JOB --disk NAME --qmp SOCKET --device NODE",
		Short: "Mirror a disk of a running QEMU into a tap job",
		Long: long(`Start a blockdev-mirror (write-blocking) in a running QEMU that copies a disk into
the capture endpoint of a tap job, and report to capture when the copy is complete.
The command then keeps running: it resumes the mirror if an error stops it, and attaches
it again, with a new copy, when the VM was restarted. With --once it returns. The mirror
goes on in QEMU when the command ends, but nobody resumes it then: run the command as a
service that is restarted.

Run it on the machine of QEMU. Where capture listens on TCP at a site with
certificates, give QEMU one that names the job (URI:tidemark:JOB) with --tls-creds.

With --live nothing is copied: the job's VM is seeded from snapshots, and the mirror
only reports every write from now on, as an I/O filter does. It talks to the source
site only (--site), and runs until it is stopped; then the mirror ends, too.`),
		Example: "  tidemark tap attach web --disk system --qmp /run/vm/qmp.sock --device drive0",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if t.disk == "" || t.qmp == "" || t.device == "" {
				return usage("--disk, --qmp and --device are required")
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				dial := node.QEMU(t.qmp, t.disk, t.device, t.creds)
				if t.live {
					err := cl.AttachLiveTap(ctx, cdp.GroupID(args[0]), t.disk, t.endpoint, dial, t.note(a))
					return cdp.Wrap(err, "attach live tap of", args[0]+"/"+t.disk)
				}
				r := client.TapRequest{Job: args[0], Disk: t.disk, Once: t.once}
				return cdp.Wrap(cl.AttachTap(ctx, r, dial, t.note(a)), "attach tap of", args[0]+"/"+t.disk)
			})
		},
	}
	c.Flags().StringVar(&t.disk, "disk", "", "the name of the disk in the job")
	c.Flags().StringVar(&t.qmp, "qmp", "", "QEMU's QMP socket")
	c.Flags().StringVar(&t.device, "device", "", "the disk's node in QEMU: the guest's top node")
	c.Flags().BoolVar(&t.live, "live", false, "copy nothing, only report every write from now on (jobs on VMs)")
	c.Flags().StringVar(&t.endpoint, "endpoint", "", "with --live: the NBD URI to write to (default: ask capture)")
	c.Flags().StringVar(&t.creds, "tls-creds", "", "directory on QEMU's machine with ca-cert.pem, client-cert.pem and client-key.pem")
	c.Flags().BoolVar(&t.once, "once", false, "return when the copy is complete")
	return group("tap", "Feed tap jobs from running VMs", "  tidemark tap attach web --disk system --qmp /run/vm/qmp.sock --device drive0", c)
}

type tap struct {
	disk, qmp, device string
	once              bool
	live              bool
	endpoint          string
	creds             string
}

// note prints what happens to a tap.
func (t tap) note(a *app) func(client.TapNote, string) {
	return func(n client.TapNote, text string) {
		switch n {
		case client.TapCopying:
			fmt.Fprintf(a.out, "copying %s to %s\n", t.device, text)
		case client.TapAdopted:
			fmt.Fprintln(a.out, "the mirror runs already")
		case client.TapComplete:
			fmt.Fprintf(a.out, "%s: the copy of %s is complete\n", clockText(a.clock().Now()), t.disk)
		case client.TapReports:
			fmt.Fprintf(a.out, "%s: every write to %s is reported\n", clockText(a.clock().Now()), t.disk)
		case client.TapStopped:
			fmt.Fprintf(a.err, "the mirror stopped (%s); resuming it\n", text)
		case client.TapLost:
			fmt.Fprintf(a.err, "%s: the tap is lost (%s); trying to attach it again\n", clockText(a.clock().Now()), text)
		case client.TapMissed:
			fmt.Fprintln(a.err, "capture missed writes, so the copy is incomplete; copying again")
		case client.TapLeft:
			fmt.Fprintln(a.out, "the mirror goes on in QEMU")
		}
	}
}
