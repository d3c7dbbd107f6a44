package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/client"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/vmpolicy"
)

func (a *app) cmdSite() *cobra.Command {
	return group("site", "List sites, and check what their vCenters allow",
		"  tidemark site list\n  tidemark site check prod\n  tidemark site privileges --role target",
		a.cmdSiteList(), a.cmdSiteCheck(), a.cmdSitePrivileges(), a.cmdSiteInvite(), a.cmdSiteJoin(), a.cmdSiteAccept(), a.cmdSiteKeys(), a.cmdSiteSecrets(), a.cmdSiteNATS())
}

// siteState is a site as it was applied, and the state of its vCenter.
type siteState struct {
	Site    cdp.Site      `json:"site"`
	Kind    string        `json:"kind"`
	VSphere *spec.VSphere `json:"vsphere,omitempty"`
	// For is what the site was checked for.
	For []inventory.Role `json:"for,omitempty"`
	// Check is nil for a site without vCenter, or one that is silent.
	Check *api.SiteCheck `json:"check,omitempty"`
	Error string         `json:"error,omitempty"`
	// Approvers is nil for another site, whose services cannot be asked for it.
	Approvers *client.Approvers `json:"approvers,omitempty"`
	Hint      string            `json:"hint,omitempty"`
}

func (s siteState) verdict() string {
	switch {
	case s.Error != "":
		return s.Error
	case s.Check == nil:
		return "-"
	case len(s.Check.Lacks)+len(s.Check.Problems) > 0:
		return "not ready: tidemark site check " + string(s.Site)
	}
	return "good"
}

// check asks whether the site can do what it is used for; an error is put into the
// state, too.
func (s *siteState) check(ctx context.Context, c *client.Client) error {
	r, err := c.CheckSite(ctx, s.Site, s.For)
	if err != nil {
		s.Error, s.Hint = err.Error(), cdp.HintOf(err)
		return cdp.Wrap(err, "check site", string(s.Site))
	}
	s.Check = &r
	return nil
}

// siteRoles are those that a site may have.
var siteRoles = []inventory.Role{inventory.AsSource, inventory.AsTarget, inventory.ForFilter, inventory.ForAppliance, inventory.ForGuests}

// rolesOf reads roles from flags.
func rolesOf(names []string) ([]inventory.Role, error) {
	var out []inventory.Role
	for _, n := range names {
		if !slices.Contains(siteRoles, inventory.Role(n)) {
			return nil, usage("unknown role %q: use %s", n, roleText(siteRoles))
		}
		out = append(out, inventory.Role(n))
	}
	return out, nil
}

func roleText(roles []inventory.Role) string {
	var out []string
	for _, r := range roles {
		out = append(out, string(r))
	}
	return strings.Join(out, ", ")
}

func (a *app) cmdSiteList() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list", Short: "List the sites and the state of their vCenters", Args: cobra.NoArgs,
		Long:    long("List the sites that were applied, and check those of kind vsphere. A site that does not\nanswer is listed with the reason."),
		Example: "  tidemark site list\n  tidemark site list -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				sites, err := cl.Sites(ctx)
				if err != nil {
					return err
				}
				var all []siteState
				for _, s := range sites {
					all = append(all, siteState{Site: s.Name, Kind: s.Kind, VSphere: s.VSphere})
				}
				uses, err := cl.SiteUses(ctx)
				if err != nil {
					return err
				}
				for i := range all {
					all[i].For = uses[all[i].Site]
					if all[i].VSphere != nil {
						_ = all[i].check(ctx, cl) // it is in the list
					}
				}
				return out.print(a.out, all, []string{"site", "kind", "url", "vcenter", "transporter", "state"}, func(add func(...any)) {
					for _, s := range all {
						url, about, transporter := "", "", ""
						if s.VSphere != nil {
							url, transporter = s.VSphere.URL, s.VSphere.Transporter
						}
						if s.Check != nil {
							about = aboutText(s.Check.About)
							if t := s.Check.Transporter; t != nil {
								transporter = t.Name
							}
						}
						add(s.Site, s.Kind, url, about, transporter, s.verdict())
					}
				})
			})
		},
	}
	out.register(c)
	return c
}

func aboutText(x inventory.About) string { return strings.TrimSpace(x.Name + " " + x.Version) }

func (a *app) cmdSiteCheck() *cobra.Command {
	var out format
	var names []string
	c := &cobra.Command{
		Use: "check [SITE]", Short: "Check that a site's vCenter can be reached and allows what is needed", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(siteNamesOf),
		Long: long(`Log in to the vCenter of a site, or of all sites of kind vsphere, find the VM that the
site's services run on, and check the privileges. Which privileges are needed depends
on what the site is used for: source or target of a job on VMs, I/O filters if a job
taps, transporters if one was deployed; or on --for. Privileges that only other uses
need are listed as not needed yet, which is no fault. Everything missing is listed.
At the site that is talked to it is also checked that all machines name the same
approvers, if any does.
The exit code is 4 if something is missing, 5 if a site or its vCenter does not answer,
and 2 if the password, the certificate or the login file is wrong, or a vCenter
answers that is not the site's.`),
		Example: "  tidemark site check\n  tidemark site check prod --for source,transporter\n  tidemark site check prod -o json",
		RunE: func(c *cobra.Command, args []string) error {
			roles, err := rolesOf(names)
			if err != nil {
				return err
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				named := ""
				if len(args) > 0 {
					named = args[0]
				}
				sites, err := vcenterSites(ctx, cl, named)
				if err != nil {
					return err
				}
				uses, err := cl.SiteUses(ctx)
				if err != nil {
					return err
				}
				var all []siteState
				var bad []error
				for _, s := range sites {
					x := siteState{Site: s, Kind: spec.SiteVSphere, For: uses[s]}
					if len(roles) > 0 {
						x.For = roles
					}
					if s == cl.Site() {
						persons := cl.Approvers(ctx)
						if x.Approvers = &persons; persons.Problem() != "" {
							bad = append(bad, cdp.Errorf(cdp.Conflict, "check site", string(s), "%s", persons.Problem()).WithHint(approversHint))
						}
					}
					if err := x.check(ctx, cl); err != nil {
						bad = append(bad, err)
					} else if n := len(x.Check.Lacks) + len(x.Check.Problems); n > 0 {
						e := cdp.Errorf(cdp.Conflict, "check site", string(s), "%s missing or wrong", count(n, "thing"))
						if len(x.Check.Lacks) > 0 {
							e = e.WithHint("list everything that a role needs: tidemark site privileges")
						}
						bad = append(bad, e)
					}
					all = append(all, x)
				}
				if !out.text() {
					err = out.print(a.out, all, []string{"site"}, func(add func(...any)) {
						for _, x := range all {
							add(x.Site)
						}
					})
				} else {
					err = a.showChecks(all)
				}
				return errors.Join(err, allOf(bad))
			})
		},
	}
	c.Flags().StringSliceVar(&names, "for", nil, "what the site is used for: "+roleText(siteRoles)+" (default: its uses in jobs)")
	out.register(c)
	return c
}

// allOf joins errors; those of silent sites come first, for nothing is known of them.
func allOf(bad []error) error {
	slices.SortStableFunc(bad, func(a, b error) int {
		return boolInt(cdp.Is(b, cdp.Transient)) - boolInt(cdp.Is(a, cdp.Transient))
	})
	return client.Join(bad)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (a *app) showChecks(all []siteState) error {
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		say := func(what, format string, args ...any) {
			fmt.Fprintf(a.out, "%-12s %s\n", what, fmt.Sprintf(format, args...))
		}
		say("site", "%s", s.Site)
		if p := s.Approvers; p != nil {
			agree := "not asked for: no machine names approvers"
			if len(p.Named) > 0 {
				agree = "of " + plain(strings.Join(p.Named, "; "))
			}
			say("two persons", "%s", cmp.Or(plain(p.Problem()), agree))
		}
		if s.Check == nil {
			say("vcenter", "not checked: %s", s.Error)
			continue
		}
		say("vcenter", "%s", aboutText(s.Check.About))
		if t := s.Check.Transporter; t != nil {
			say("transporter", "%s on %s, power %s", t.Name, t.Host, t.Power)
		} else {
			say("transporter", "not found")
		}
		for _, p := range s.Check.Problems {
			say("problem", "%s", p)
		}
		use := "used by no job yet"
		if len(s.For) > 0 {
			use = "for " + roleText(s.For)
		}
		if len(s.Check.Lacks) == 0 {
			say("privileges", "complete (%s)", use)
		} else {
			say("privileges", "%s missing (%s)", count(len(s.Check.Lacks), "privilege"), use)
			if err := a.showMissing("missing privilege", s.Check.Lacks); err != nil {
				return err
			}
		}
		if n := len(s.Check.Later); n > 0 {
			say("not needed yet", "%s missing that only other uses need", count(n, "privilege"))
			if err := a.showMissing("not needed yet", s.Check.Later); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *app) showMissing(head string, all []inventory.Missing) error {
	fmt.Fprintln(a.out)
	err := asTable.print(a.out, nil, []string{head, "where", "needed by", "what for"}, func(add func(...any)) {
		for _, m := range all {
			add(m.Privilege, where(m.Entity), roleText(m.Roles), m.Purpose)
		}
	})
	fmt.Fprintln(a.out)
	return err
}

func where(entity string) string {
	if entity == "" {
		return "root folder"
	}
	return entity
}

func (a *app) cmdSitePrivileges() *cobra.Command {
	var out format
	var roles []string
	c := &cobra.Command{
		Use: "privileges", Short: "List the privileges that Tidemark's vCenter user needs", Args: cobra.NoArgs,
		Long: long(`List the privileges of a vCenter role for Tidemark: those that every site needs, those
of a source and of a target, and those for managing I/O filters and transporters.
Grant them on the root folder, and propagate them to children.`),
		Example: "  tidemark site privileges\n  tidemark site privileges --role source --role iofilter",
		RunE: func(c *cobra.Command, _ []string) error {
			want, err := rolesOf(roles)
			if err != nil {
				return err
			}
			table := vmpolicy.Privileges(want...)
			return out.print(a.out, table, []string{"privilege", "where", "needed by", "what for"}, func(add func(...any)) {
				for _, p := range table {
					add(p.ID, where(string(p.Entity)), string(p.Role), p.Purpose)
				}
			})
		},
	}
	c.Flags().StringSliceVar(&roles, "role", nil, "only what these uses need: "+roleText(siteRoles)+" (default: all)")
	out.register(c)
	return c
}
