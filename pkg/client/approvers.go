package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tidemark.dev/pkg/contract/subjects"
)

// SaysApprovers is under what a service says whom the configuration of its machine names.
const SaysApprovers = "approvers"

// Approvers is whom the machines of a site name as persons of whom two have to agree to
// what destroys history.
type Approvers struct {
	// Named are the different lists of names; empty: no machine names any, which is nobody's
	// fault.
	Named []string `json:"named"`
	// Missing are the services of which an instance has no approvers, while another has:
	// there one person acts alone.
	Missing []string `json:"missing,omitempty"`
}

// Problem says what is wrong; empty: nothing.
func (a Approvers) Problem() string {
	switch {
	case len(a.Missing) > 0:
		return fmt.Sprintf("two persons have to agree, but not where %s runs: the configuration of its machine names no approvers", strings.Join(a.Missing, ", "))
	case len(a.Named) > 1:
		return "the machines of the site name different approvers: " + strings.Join(a.Named, "; ")
	}
	return ""
}

// Approvers asks the services that destroy history, as far as they answer, whom their
// machines name.
func (c *Client) Approvers(ctx context.Context) Approvers {
	services := []string{subjects.Failover, subjects.Journal, subjects.Scheduler}
	says := make([][]string, len(services))
	var all sync.WaitGroup
	for i, s := range services {
		all.Go(func() { says[i], _ = c.conn.Say(ctx, s, SaysApprovers) })
	}
	all.Wait()
	return approvers(services, says)
}

// approvers judges what the instances of each service say.
func approvers(services []string, says [][]string) (a Approvers) {
	a.Named = []string{}
	for i, s := range services {
		for _, names := range says[i] {
			switch {
			case names != "":
				a.Named = append(a.Named, names)
			case !slices.Contains(a.Missing, s):
				a.Missing = append(a.Missing, s)
			}
		}
	}
	slices.Sort(a.Named)
	if a.Named = slices.Compact(a.Named); len(a.Named) == 0 {
		a.Missing = nil
	}
	return a
}
