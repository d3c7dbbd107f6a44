package vcenter

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// sourceTaps attach I/O filters to the disks of source VMs, so that the filters send
// the VMs' writes to capture.
type sourceTaps struct {
	connect func(context.Context) (tappedVMs, error)
	lanes   *lanes
	specs   SourceSpecs
}

// tappedVMs is what sourceTaps need of a vCenter.
type tappedVMs interface {
	VMReader
	FilterTaps
}

// tap handles api.VMTap.
func (t *sourceTaps) tap(ctx context.Context, r api.TapRequest) (any, error) {
	id := fmt.Sprintf("tap %v %v %v", r.Attach, r.Again, r.Disks)
	_, p, err := inLane(ctx, t.lanes, lane("source", r.Group), id, func(ctx context.Context, tell progress) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(t.tapNow(ctx, r, tell), "tap", string(r.Group))
	})
	return p, err
}

// power handles api.VMPower.
func (t *sourceTaps) power(ctx context.Context, r api.VMPowerRequest) (any, error) {
	vc, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	v, err := vc.VM(ctx, r.VM)
	return api.VMPowerReply{Power: v.Power}, err
}

func (t *sourceTaps) tapNow(ctx context.Context, r api.TapRequest, tell progress) error {
	g, err := t.specs.Group(ctx, string(r.Group))
	if err != nil {
		return err
	}
	j, err := t.specs.VMJob(ctx, g.Target.Site, g.Of)
	if err != nil {
		return err
	}
	vc, err := t.connect(ctx)
	if err != nil {
		return err
	}
	v, err := vc.VM(ctx, r.VM)
	if cdp.Is(err, cdp.NotFound) && !r.Attach {
		return nil
	}
	if err != nil {
		return err
	}
	filter := j.Job.Source.Filter
	keys := slices.Sorted(maps.Keys(r.Disks))
	if !r.Attach {
		if len(keys) == 0 {
			for _, d := range g.Source.Disks {
				keys = append(keys, d.Key)
			}
		}
		tell("detaches the I/O filter", 0, 0)
		return vc.DetachFilter(ctx, v.Ref, filter, keys)
	}
	params := map[int32]map[string]string{}
	for _, d := range g.Source.Disks {
		if uri := r.Disks[d.Key]; uri != "" {
			params[d.Key] = map[string]string{"endpoint": uri, "group": string(r.Group), "disk": d.Name}
		}
	}
	if len(params) == 0 {
		return cdp.Errorf(cdp.Invalid, "tap", string(r.Group), "the request names no disk of the group")
	}
	if r.Again {
		tell("detaches the I/O filter", 0, 0)
		if err := vc.DetachFilter(ctx, v.Ref, filter, slices.Sorted(maps.Keys(params))); err != nil {
			return err
		}
	}
	tell("attaches the I/O filter", 0, 0)
	return vc.AttachFilter(ctx, v.Ref, filter, j.Job.Source.Policy, params)
}
