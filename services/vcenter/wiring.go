package vcenter

import (
	"context"
	"reflect"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// wire computes a member's networks and addresses at the target. was is what the
// guest reported before; kept are addresses that it no longer reports.
func wire(m *inventory.Member, to inventory.JobTarget, target inventory.Inventory, was inventory.Guest) (kept []string) {
	rules := slices.Clone(to.ReIP)
	for i := range rules {
		if rules[i].VM != "" && rules[i].VM == m.JoinedAs {
			rules[i].VM = m.VM.Name
		}
	}
	m.VM.Guest, kept = vmpolicy.Remember(was, m.VM, rules)
	w, _ := vmpolicy.Wire(m.VM, to.Networks, target)
	m.Networks, m.Isolated = w.Production, w.Test
	m.Identity, _ = vmpolicy.Identify(m.VM, rules, to.LoginOf(m.VM.Name, m.JoinedAs))
	return kept
}

// rewire computes them from what is recorded of the VM, and saves them if they
// changed. It needs no answer of the source.
func rewire(ctx context.Context, m *member, to inventory.JobTarget, target inventory.Inventory) error {
	was := m.Value
	wire(&m.Value, to, target, m.Value.VM.Guest)
	if reflect.DeepEqual(was, m.Value) {
		return nil
	}
	return m.save(ctx)
}

// rewire has the run use the networks and addresses of the job as it is now. It may
// have been changed since the source was lost, and so may the networks here. If the
// job was deleted, those that were recorded are used.
func (r *run) rewire(ctx context.Context) error {
	job, err := r.jobs.Get(ctx, r.m.Value.Job)
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	inv, err := r.cache.get(ctx)
	if err != nil {
		return err
	}
	return rewire(ctx, r.m, job.Job.Target, inv)
}
