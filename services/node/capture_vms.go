package node

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/capture"
)

// siteVMs is capture.Snapshots and capture.Machines: the vcenter service of the
// site makes and removes the snapshots, and attaches their disks to this machine.
type siteVMs struct {
	conn  requester
	site  cdp.Site
	clock clock.Clock
}

// requester asks a service of a site. It is the bus.
type requester interface {
	Request(ctx context.Context, site cdp.Site, service, endpoint string, in, out any) error
}

var (
	_ requester         = (*bus.Conn)(nil)
	_ capture.Snapshots = siteVMs{}
	_ capture.Machines  = siteVMs{}
)

func (s siteVMs) Freeze(ctx context.Context, m capture.Machine, pass string) (capture.Frozen, error) {
	var a api.FreezeReply
	keys := slices.DeleteFunc(slices.Clone(m.Keys), func(k int32) bool { return k == 0 })
	if err := s.until(ctx, api.VMFreeze, api.FreezeRequest{Group: m.Group, VM: m.VM, Pass: pass, Keys: keys}, &a, &a.Progress); err != nil {
		return capture.Frozen{}, err
	}
	if len(a.Disks) != len(keys) {
		return capture.Frozen{}, cdp.Errorf(cdp.Internal, "freeze", string(m.Group), "%d disks were asked for, and %d are frozen", len(keys), len(a.Disks))
	}
	out := capture.Frozen{At: a.At, Disks: make([]capture.FrozenDisk, len(m.Keys))}
	next := 0
	for i, k := range m.Keys {
		if k != 0 {
			out.Disks[i] = capture.FrozenDisk{Path: a.Disks[next].Path, ChangeID: a.Disks[next].ChangeID}
			next++
		}
	}
	return out, nil
}

func (s siteVMs) Changed(ctx context.Context, m capture.Machine, pass string, disk cdp.DiskID, since string, fn func(off, n int64)) error {
	if int(disk) >= len(m.Keys) {
		return cdp.Errorf(cdp.Invalid, "ask for changes", string(m.Group), "it has no disk %d", disk)
	}
	r := api.ChangedRequest{Group: m.Group, VM: m.VM, Pass: pass, Key: m.Keys[disk], Since: since}
	for {
		actx, cancel := context.WithTimeout(ctx, time.Minute)
		var a api.ChangedReply
		err := s.conn.Request(actx, s.site, subjects.VCenter, api.VMChanged, r, &a)
		cancel()
		if err != nil {
			return err
		}
		for _, x := range a.Areas {
			fn(x.Off, x.N)
		}
		if a.Next == 0 {
			return nil
		}
		r.From = a.Next
	}
}

func (s siteVMs) Thaw(ctx context.Context, m capture.Machine, keep string) error {
	var p api.Progress
	return s.until(ctx, api.VMThaw, api.ThawRequest{Group: m.Group, VM: m.VM, Keep: keep}, &p, &p)
}

func (s siteVMs) Power(ctx context.Context, vm string) (inventory.Power, error) {
	var r api.VMPowerReply
	err := s.conn.Request(ctx, s.site, subjects.VCenter, api.VMPower, api.VMPowerRequest{VM: vm}, &r)
	return r.Power, err
}

// stepEvery is how often a step that takes long is asked for again.
const stepEvery = 250 * time.Millisecond

// until asks for a step until it is done.
func (s siteVMs) until(ctx context.Context, endpoint string, in, out any, p *api.Progress) error {
	for {
		actx, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := s.conn.Request(actx, s.site, subjects.VCenter, endpoint, in, out)
		cancel()
		if err != nil || p.Done {
			return err
		}
		if err := clock.Sleep(ctx, s.clock, stepEvery); err != nil {
			return err
		}
	}
}
