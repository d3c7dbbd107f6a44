package vcenter_test

import (
	"context"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/services/vcenter"
)

// narrow is a vCenter whose datastores have little room.
type narrow struct {
	vcenter.VCenter
	free int64
}

func (n *narrow) Inventory(ctx context.Context) (inventory.Inventory, error) {
	inv, err := n.VCenter.Inventory(ctx)
	for i := range inv.Datastores {
		inv.Datastores[i].Free = n.free
	}
	return inv, err
}

// A full datastore stops every VM on it.
func TestATestWithoutRoomIsRefused(t *testing.T) {
	w := failover(t, nil)
	before := w.picture(w.b)
	w.b.stop()
	w.b.vc = &narrow{VCenter: w.b.c, free: 6*mib - 1}
	w.b.start()
	if _, err := w.tryStep(api.VMBuild, true); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "6.0 MiB") {
		t.Error(err)
	}
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	w.b.stop()
	w.b.vc = &narrow{VCenter: w.b.c, free: 6 * mib}
	w.b.start()
	w.step(api.VMBuild, true)
	w.b.stop()
	w.b.vc = &narrow{VCenter: w.b.c}
	w.b.start()
	w.step(api.VMBuild, true) // asked again, it is there
	w.step(api.VMRemove, true)
}

// The placement of its VM is not known any more.
func TestATestOfADeletedJobIsRefused(t *testing.T) {
	w := failover(t, nil)
	before := w.picture(w.b)
	w.unapply("shop")
	if _, err := w.tryStep(api.VMBuild, true); !cdp.Is(err, cdp.Conflict) || !strings.Contains(cdp.HintOf(err), "apply") {
		t.Errorf("%v, hint %q", err, cdp.HintOf(err))
	}
	w.step(api.VMRemove, true)
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
