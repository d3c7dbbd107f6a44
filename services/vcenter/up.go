package vcenter

import (
	"context"
	"fmt"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// connected is the state of a host, or a VM, that the vCenter hears of.
const connected = "connected"

// up handles api.VCenterUp. What the vCenter does not have is NotFound, not down: somebody
// may have renamed it.
func (q *siteQueries) up(ctx context.Context, r api.UpRequest) (any, error) {
	const op = "look at machine"
	inv, err := q.cache.recent(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case (r.VM == "") == (r.Host == ""):
		return nil, cdp.Errorf(cdp.Invalid, op, r.VM, "name either a VM or a host")
	case r.Host != "":
		h, why := inv.FindHost(r.Host)
		if why != "" {
			return nil, cdp.Errorf(cdp.NotFound, op, r.Host, "%s", why)
		}
		return hostUp(h), nil
	}
	v, why := inv.FindVM(r.VM)
	if why != "" {
		return nil, cdp.Errorf(cdp.NotFound, op, r.VM, "%s", why)
	}
	vc, err := q.connect(ctx)
	if err != nil {
		return nil, err
	}
	if v, err = vc.VM(ctx, v.UUID); err != nil { // as it is now
		return nil, cdp.Wrap(err, op, r.VM)
	}
	if i := slices.IndexFunc(inv.Hosts, func(h inventory.Host) bool { return h.Ref == v.Host }); i >= 0 {
		if h := hostUp(inv.Hosts[i]); !h.Up {
			return api.UpReply{Text: fmt.Sprintf("the host of the VM %s is down: %s", v.Name, h.Text)}, nil
		}
	}
	if v.State != "" && v.State != connected {
		return api.UpReply{Text: fmt.Sprintf("the VM %s is %s", v.Name, v.State)}, nil
	}
	if r.Tools && v.Power == inventory.PoweredOn {
		does := map[bool]string{true: "run", false: "do not run"}[v.Guest.ToolsRunning]
		return api.UpReply{Up: v.Guest.ToolsRunning, Text: fmt.Sprintf("the VM %s is on, and its VMware Tools %s", v.Name, does)}, nil
	}
	return api.UpReply{Up: v.Power == inventory.PoweredOn, Text: fmt.Sprintf("the VM %s is %s", v.Name, v.Power)}, nil
}

func hostUp(h inventory.Host) api.UpReply {
	return api.UpReply{Up: h.State == connected, Text: fmt.Sprintf("the host %s is %s", h.Name, h.State)}
}
