package bustest

import (
	"testing"

	"tidemark.dev/pkg/adapter/bus"
)

// Sites is a pair of sites: prod dials dr. Most tests have their source at prod
// and their target at dr.
type Sites struct {
	*Tree
	Prod *bus.Server
	DR   *bus.Server
	Link *Proxy
}

// Option changes how the two servers are started.
type Option func(prod, dr *bus.ServerConfig)

// Start starts both servers, joins them, makes their streams and buckets, and
// lets each follow the other. All of it ends with the test.
func Start(t testing.TB, opts ...Option) *Sites {
	t.Helper()
	return start(t, true, opts)
}

// Apart is Start with a link that is cut until Heal.
func Apart(t testing.TB, opts ...Option) *Sites {
	t.Helper()
	return start(t, false, opts)
}

func start(t testing.TB, joined bool, opts []Option) *Sites {
	t.Helper()
	pair := Edge{From: "prod", To: "dr"}
	tree := newTree(t, []Edge{pair})
	for _, o := range opts {
		o(tree.configs["prod"], tree.configs["dr"])
	}
	tree.start(joined)
	return &Sites{Tree: tree, Prod: tree.Server("prod"), DR: tree.Server("dr"), Link: tree.Link(pair)}
}

// Secured gives both sites credentials: every service has its role's
// permissions only.
func Secured(prod, dr *bus.ServerConfig) {
	Private(prod)
	Private(dr)
}

// StartProd starts prod's server again after Prod.Close.
func (s *Sites) StartProd() { s.Prod = s.Tree.Start("prod") }

// StartDR starts dr's server again after DR.Close.
func (s *Sites) StartDR() { s.DR = s.Tree.Start("dr") }
