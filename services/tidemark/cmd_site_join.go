package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/node"
)

// mostInvitation is the size limit of an invitation, in bytes.
const mostInvitation = 64 << 10

// joinFlags are those of the three commands that join two sites.
type joinFlags struct{ config, services string }

func (f *joinFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "config", "", "the YAML file of tidemark up, with the link")
	c.Flags().StringVar(&f.services, "services", "", "where capture and journal keep their directories, if not in that of the server")
}

func (a *app) joiner(f joinFlags) (node.Joiner, error) {
	cfg, err := a.upConfig(f.config)
	return node.Joiner{Config: cfg, Services: f.services, Clock: a.clock()}, err
}

func (a *app) cmdSiteInvite() *cobra.Command {
	var f joinFlags
	var within time.Duration
	var site string
	c := &cobra.Command{
		Use: "invite PEER", Short: "Invite a site to join, at the site that it dials", Args: cobra.ExactArgs(1),
		Long: long(`Print an invitation for the site PEER, which dials this one. Take it there and run
tidemark site join; bring what that prints back, to tidemark site accept. Each site makes
its own keys, and no private key is in either line. An invitation is good once, and for
as long as --for says. Whoever has it meanwhile can join in PEER's place: send it on a
way that you trust.`),
		Example: "  tidemark site invite prod --config up.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			if within <= 0 || within > 24*time.Hour {
				return usage("--for: from 1s to 24h, not %s", within)
			}
			j, err := a.joiner(f)
			if err != nil {
				return err
			}
			peer := cdp.Site(args[0])
			if site == "" { // the one that it dials; the links form a tree
				for _, l := range j.Config.Links {
					if l.From == peer {
						site = string(l.To)
					}
				}
			}
			line, err := j.Invite(cdp.Site(site), peer, within)
			if err == nil {
				fmt.Fprintln(a.out, line)
			}
			return err
		},
	}
	f.register(c)
	c.Flags().DurationVar(&within, "for", time.Hour, "how long the invitation is good, 24h at most")
	c.Flags().StringVar(&site, "site", "", "the site that invites (default: the one that PEER dials)")
	return c
}

func (a *app) cmdSiteJoin() *cobra.Command {
	var f joinFlags
	c := &cobra.Command{
		Use: "join", Short: "Answer an invitation, at the site that was invited", Args: cobra.NoArgs,
		Long: long(`Read an invitation, one line, from standard input: it is a secret, and the arguments of a
command can be read by others. Make this site's keys, unless it has them, bind those of
the site that invited it, and print the answer for tidemark site accept there. The answer
is no secret: it holds public keys, and who changes it on its way is found out.`),
		Example: "  tidemark site join --config up.yaml < invitation",
		RunE: func(*cobra.Command, []string) error {
			j, err := a.joiner(f)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.err, "paste the invitation:")
			invitation, err := bufio.NewReader(io.LimitReader(a.in, mostInvitation)).ReadString('\n')
			if err != nil && err != io.EOF {
				return &cdp.Error{Op: "read the invitation", Kind: cdp.Invalid, Subject: "standard input", Cause: err}
			}
			answer, known, err := j.Join(invitation)
			if err != nil {
				return err
			}
			a.showJoined(known)
			fmt.Fprintln(a.out, answer)
			return nil
		},
	}
	f.register(c)
	return c
}

func (a *app) cmdSiteAccept() *cobra.Command {
	var f joinFlags
	c := &cobra.Command{
		Use: "accept ANSWER", Short: "Accept a site's answer to an invitation", Args: cobra.ExactArgs(1),
		Long: long(`Bind the keys of a site that answered an invitation: that of its link, which the NATS
server of this site knows from its next start, and that with which it signs recovery
points, which the journal knows at once. Keys that it signed with before stay bound, for
the history that is signed with them.`),
		Example: "  tidemark site accept tidemark-answer-1.... --config up.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			j, err := a.joiner(f)
			if err != nil {
				return err
			}
			known, err := j.Accept(args[0])
			if err == nil {
				a.showJoined(known)
			}
			return err
		},
	}
	f.register(c)
	return c
}

func (a *app) showJoined(known node.Joined) {
	fmt.Fprintf(a.err, "site %s signs recovery points with %s\n", known.Site, strings.Join(known.Signers, ", "))
	if known.Link != "" {
		fmt.Fprintf(a.err, "its link has the key %s; restart this site's server if it runs\n", known.Link)
	}
}
