package journal

import (
	"context"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
)

// closeView closes an export: unless it is forced to, only when no client is
// connected. One that has just gone may still be seen for a moment.
func (g *group) closeView(ctx context.Context, r api.CloseRequest) error {
	const grace, pause = 2 * time.Second, 50 * time.Millisecond
	now := g.deps.Clock.Now
	for over := now().Add(grace); !r.Force; {
		in := g.exports.clients(r.ID)
		if len(in) == 0 {
			break
		}
		if !now().Before(over) {
			return cdp.Errorf(cdp.Conflict, "close export", r.ID, "it is in use, connected to it: %s", strings.Join(in, ", ")).
				WithHint("disconnect them first, or use --force, which does so; what they wrote is discarded")
		}
		if err := clock.Sleep(ctx, g.deps.Clock, pause); err != nil {
			return err
		}
	}
	return g.exports.closeView(r.ID)
}

// clients are who is connected to an export.
func (x *exports) clients(id string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.open[id]; e != nil {
		return e.server.Clients()
	}
	return nil
}

// unshown is Conflict while an export, of a failover or not, shows the point, unless
// it is forced: what the export reads is kept until it is closed.
func (g *group) unshown(p cdp.Point, force bool) error {
	var in []string
	for _, x := range g.exports.list() {
		if x.Seq == p.Seq {
			in = append(in, strings.Join(append([]string{x.ID}, x.Clients...), ", "))
		}
	}
	if len(in) == 0 || force {
		return nil
	}
	slices.Sort(in)
	return cdp.Errorf(cdp.Conflict, "delete point", p.ID(), "exports show it: %s", strings.Join(in, "; ")).
		WithHint("close them first: tidemark export close " + string(g.job.id) + " ID, or use --force: they go on to show it until they are closed")
}
