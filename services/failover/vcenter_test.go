package failover_test

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// vcenter is the world's vCenter: where the disks are, and whether the VM runs.
// Each step needs the step before it, and is not done at the first request.
type vcenter struct {
	at      string // transporter, vm; empty before the first step
	on      bool
	kept    bool // the point, for a fill
	filled  bool
	asks    map[string]int
	lame    bool // its checks fail
	refuses string
}

func (w *world) Release(ctx context.Context, _ api.RunRequest) error {
	if !w.halted || w.base != 50 {
		return cdp.Errorf(cdp.Conflict, "release", "", "not halted, or not at the point")
	}
	return w.did(ctx, "release", w.released, func() { w.released = true })
}

func (w *world) Fill(ctx context.Context, r api.FillRequest) (api.MoveReply, error) {
	if r.Seq == 50 && len(r.Paths) == 0 {
		return api.MoveReply{}, w.did(ctx, "keep", w.vm.kept, func() { w.vm.kept = true })
	}
	if r.Seq != 50 || !w.vm.kept || !slices.Equal(r.Paths, []string{"/dev/scratch"}) {
		return api.MoveReply{}, cdp.Errorf(cdp.Invalid, "fill", "", "%+v", r)
	}
	if !w.twice("fill") {
		return api.MoveReply{Moved: 1, Total: 3}, nil
	}
	return api.MoveReply{Done: true}, w.did(ctx, "fill", w.vm.filled, func() { w.vm.filled = true })
}

func (w *world) FillStop(ctx context.Context, _ api.RunRequest) error {
	return w.did(ctx, "fill-stop", !w.vm.kept, func() { w.vm.filled, w.vm.kept = false, false })
}

// twice is false at the first request.
func (w *world) twice(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.vm.asks == nil {
		w.vm.asks = map[string]int{}
	}
	w.vm.asks[what]++
	return w.vm.asks[what] > 1
}

func (w *world) Do(ctx context.Context, step string, r api.VMRunRequest) (api.VMRunReply, error) {
	v := &w.vm
	if r.Job != "web" || r.Source != "prod" || r.Target != "dr" {
		return api.VMRunReply{}, cdp.Errorf(cdp.Invalid, step, "", "%+v", r)
	}
	if step == v.refuses {
		return api.VMRunReply{}, cdp.Errorf(cdp.Conflict, step, "", "somebody holds a lock")
	}
	if !w.twice(step) {
		return api.VMRunReply{Text: "soon", Moved: 1, Total: 2}, nil
	}
	reply := api.VMRunReply{Done: true, VM: &api.VMRun{Name: "web-replica", Power: "off"}}
	needs := map[string]bool{
		api.VMBuild: r.Test && v.kept, api.VMAttach: w.released || v.filled, api.VMBoot: v.at == "vm", api.VMCheck: v.on,
		api.VMStop: true, api.VMReturn: !v.on && !r.Test, api.VMKeep: v.at == "vm" && !r.Test, api.VMRemove: !v.on && r.Test && !v.kept,
	}
	if !needs[step] {
		return reply, cdp.Errorf(cdp.Internal, step, "", "not now: %+v", v)
	}
	so, change := false, func() {}
	switch step {
	case api.VMBuild:
		reply.Paths = []string{"/dev/scratch"}
		so, change = v.at != "", func() { v.at = "transporter" }
	case api.VMAttach:
		so, change = v.at == "vm", func() { v.at = "vm" }
	case api.VMBoot:
		so, change = v.on, func() { v.on = true }
	case api.VMCheck:
		reply.VM.Power, reply.VM.IPs = "on", []string{"10.1.2.3"}
		lame := false
		w.set(func() { lame = v.lame })
		reply.VM.Checks = []api.VMCheckResult{{Name: "tools", OK: true}, {Name: "ping", OK: !lame, Text: map[bool]string{true: "no answer"}[lame]}}
		return reply, ctx.Err()
	case api.VMStop:
		so, change = !v.on, func() { v.on = false }
	case api.VMReturn:
		so, change = v.at == "transporter", func() { v.at = "transporter" }
	case api.VMKeep:
		so, change = w.effects[step] > 0, func() {}
	case api.VMRemove:
		so, change = v.at == "", func() { v.at = "" }
	}
	return reply, w.did(ctx, step, so, change)
}
