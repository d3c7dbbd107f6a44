package vcsim

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// autoStart says which VMs a host starts. The simulator's hosts never do that by
// themselves.
type autoStart struct{ mo.HostAutoStartManager }

func newAutoStart(h *simulator.HostSystem) *autoStart {
	a := &autoStart{}
	a.Self = types.ManagedObjectReference{Type: "HostAutoStartManager", Value: "autoStartManager-" + h.Self.Value}
	enabled := true
	a.Config.Defaults = &types.AutoStartDefaults{Enabled: &enabled}
	ref := a.Self
	h.ConfigManager.AutoStartManager = &ref
	return a
}

// ReconfigureAutostart changes the VMs that it names, and leaves the others alone.
func (a *autoStart) ReconfigureAutostart(ctx *simulator.Context, req *types.ReconfigureAutostart) soap.HasFault {
	body := &methods.ReconfigureAutostartBody{}
	started := func(p types.AutoStartPowerInfo) bool { return p.StartAction == "powerOn" }
	infos := slices.Clone(a.Config.PowerInfo)
	for _, p := range req.Spec.PowerInfo {
		infos = slices.DeleteFunc(infos, func(old types.AutoStartPowerInfo) bool { return old.Key == p.Key })
		most := int32(1)
		for _, old := range infos {
			if started(old) {
				most++
			}
		}
		if !started(p) && p.StartOrder != -1 || p.StartOrder != -1 && (p.StartOrder < 1 || p.StartOrder > most) {
			body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "startOrder"})
			return body
		}
		infos = append(infos, p)
	}
	ctx.Update(a, []types.PropertyChange{{Name: "config.powerInfo", Val: infos}})
	body.Res = &types.ReconfigureAutostartResponse{}
	return body
}
