package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// runRecord is a failover that has a VM, or had one. It is written before anything
// is changed, and dropped when nothing of the run is left.
type runRecord struct {
	Run   string   `json:"run"`
	Test  bool     `json:"test,omitempty"`
	Stage runStage `json:"stage"`
	// VM is the one that the run starts: the replica, or the test's own.
	VM   inventory.Ref `json:"vm,omitempty"`
	UUID string        `json:"uuid,omitempty"` // of a test's
	Name string        `json:"name"`
	// Disks are the test's own, by disk of the group.
	Disks []runDisk `json:"disks,omitempty"`
	// Making is when the vCenter was last asked to make something for the test, as
	// long as the outcome is unknown: it may still appear later.
	Making time.Time `json:"making,omitzero"`
	// Given is the VM whose guest was given its addresses from inside.
	Given string `json:"given,omitempty"`
	// Unset is why the guest's addresses are not configured, Unwired why its network cards
	// are not on their networks. The VM was started all the same.
	Unset   string `json:"unset,omitempty"`
	Unwired string `json:"unwired,omitempty"`
}

type runDisk struct {
	File string `json:"file"`
	UUID string `json:"uuid,omitempty"`
}

// runStage is how far a run is with its VM.
type runStage string

const (
	stageBuilt runStage = "built" // a test's VM and disks exist, or are being made
	stageTaken runStage = "taken" // the VM has the disks, or they are being attached
	stageBack  runStage = "back"  // the disks are going back to the transporter
	stageGone  runStage = "gone"  // the test's VM and disks are being deleted
	stageKept  runStage = "kept"  // committed: the replica VM is the VM for good
)

// vmRuns does the steps of failovers to VMs.
type vmRuns struct {
	connect func(context.Context) (runVMs, error)
	cache   *inventoryCache
	hotadd  *hotadd
	lanes   *lanes
	locks   *locks
	records Records
	jobs    Jobs
	prober  Prober
	local   Files
	guests  Guests
	report  *reporter
	clock   clock.Clock
	cfg     Config
}

// runVMs is what a failover needs of a vCenter.
type runVMs interface {
	VMReader
	DiskReader
	SnapshotReader
	SnapshotMaker
	SnapshotReverter
	VMMaker
	VMEditor
	DiskFiles
	DiskSlots
	Power
	PowerBlock
	GuestNetworks
	GuestRunner
	startedVMs
}

// run is one step of a failover while it holds the group's lock.
type run struct {
	*vmRuns
	vc   runVMs
	req  api.VMRunRequest
	m    *member
	rec  *record[runRecord]
	tell progress
}

// step is the endpoint of a step. A group's steps are done one at a time, and never
// while the group is being reconciled.
func (s *vmRuns) step(name string, do func(*run, context.Context) (api.VMRunReply, error)) func(context.Context, api.VMRunRequest) (any, error) {
	return func(ctx context.Context, req api.VMRunRequest) (any, error) {
		id := fmt.Sprintf("%s %s %v", name, req.Run, req.Test)
		// A check only waits, so an undo does not wait for it.
		s.lanes.stop(lane("run", cdp.GroupID(req.Job)), func(at string) bool {
			return at != id && strings.HasPrefix(at, api.VMCheck+" ")
		})
		reply, p, err := inLane(ctx, s.lanes, lane("run", cdp.GroupID(req.Job)), id, func(ctx context.Context, tell progress) (api.VMRunReply, error) {
			reply, err := s.inRun(ctx, req, tell, do)
			return reply, cdp.Wrap(err, strings.ReplaceAll(name, "-", " "), req.Job)
		})
		if err != nil {
			return nil, err
		}
		if !p.Done {
			return api.VMRunReply{Text: p.Text, Moved: p.Moved, Total: p.Total}, nil
		}
		reply.Done = true
		if reply.Text == "" {
			reply.Text = p.Text
		}
		return reply, nil
	}
}

// inRun does a step.
func (s *vmRuns) inRun(ctx context.Context, req api.VMRunRequest, tell progress, do func(*run, context.Context) (api.VMRunReply, error)) (api.VMRunReply, error) {
	var none api.VMRunReply
	if req.Run == "" || req.Job == "" {
		return none, cdp.Errorf(cdp.Invalid, "failover", req.Job, "the request must name the run and the job")
	}
	unlock, err := s.locks.take(ctx, lockGroup(req.Job))
	if err != nil {
		return none, err
	}
	defer unlock()
	r := &run{vmRuns: s, req: req, tell: tell}
	if r.m, err = load[inventory.Member](ctx, s.records, keyMember+req.Job); err != nil {
		return none, err
	}
	if !r.m.exists() || r.m.Value.Replica == "" {
		return none, cdp.Errorf(cdp.NotFound, "failover", req.Job, "it has no replica VM").
			WithHint("only jobs on VMs can fail over to a VM; others give their disks: --to nbd")
	}
	if r.rec, err = load[runRecord](ctx, s.records, keyRun+req.Job); err != nil {
		return none, err
	}
	if r.rec.exists() && (r.rec.Value.Run != req.Run || r.rec.Value.Test != req.Test) {
		return none, cdp.Errorf(cdp.Conflict, "failover", req.Job, "the run %s already has its VM %s", r.rec.Value.Run, r.rec.Value.Name)
	}
	if r.vc, err = s.connect(ctx); err != nil {
		return none, err
	}
	return do(r, ctx)
}

// enter records that the run is in a stage, before it acts.
func (r *run) enter(ctx context.Context, stage runStage, change func(*runRecord)) error {
	was := r.rec.Value
	was.Disks = slices.Clone(was.Disks)
	v := &r.rec.Value
	v.Run, v.Test, v.Stage = r.req.Run, r.req.Test, stage
	if change != nil {
		change(v)
	}
	if r.rec.exists() && sameRun(was, *v) {
		return nil
	}
	return r.rec.save(ctx)
}

func sameRun(a, b runRecord) bool {
	return a.Run == b.Run && a.Test == b.Test && a.Stage == b.Stage && a.VM == b.VM && a.UUID == b.UUID && a.Making.Equal(b.Making) && a.Given == b.Given && a.Unset == b.Unset && a.Unwired == b.Unwired && a.Name == b.Name && slices.Equal(a.Disks, b.Disks)
}

// vm is the VM that the run starts; NotFound.
func (r *run) vm(ctx context.Context) (inventory.VM, error) {
	switch {
	case r.req.Test && !r.rec.exists():
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, "find VM", r.req.Job, "the run has not made one")
	case r.req.Test:
		return r.cache.owned(ctx, r.vc, ownedVM{group: r.m.Value.Group, run: r.req.Run, ref: r.rec.Value.VM, uuid: r.rec.Value.UUID})
	case r.rec.Value.Stage == stageKept:
		return committedVM(ctx, r.vc, r.m.Value)
	}
	return r.cache.replica(ctx, r.vc, r.m.Value)
}

// disks are those of the replica that the point has, as large as they were then. The
// replica may have got others since, and larger ones.
func (r *run) disks() []inventory.MemberDisk {
	var out []inventory.MemberDisk
	if len(r.req.Disks) == 0 {
		for _, d := range r.m.Value.Disks {
			if d.Gone.IsZero() {
				out = append(out, d)
			}
		}
		return out
	}
	for _, d := range r.m.Value.Disks {
		i := slices.IndexFunc(r.req.Disks, func(x cdp.Disk) bool { return x.Name == d.Name })
		if i >= 0 {
			d.Disk.Size = r.req.Disks[i].Size
			out = append(out, d)
		}
	}
	return withoutFormer(out)
}

// withoutFormer leaves out disks that were gone once a later one of them had their slot.
func withoutFormer(disks []inventory.MemberDisk) (out []inventory.MemberDisk) {
	for i, d := range disks {
		taken := slices.ContainsFunc(disks[i+1:], func(x inventory.MemberDisk) bool { return x.Address == d.Address })
		if d.Gone.IsZero() || !taken {
			out = append(out, d)
		}
	}
	return out
}

// plugs are the run's disks at their addresses.
func (r *run) plugs() []inventory.Plug {
	var out []inventory.Plug
	for i, d := range r.disks() {
		p := inventory.Plug{File: d.File, UUID: d.UUID, Address: d.Address}
		if r.req.Test && i < len(r.rec.Value.Disks) {
			p.File, p.UUID = r.rec.Value.Disks[i].File, r.rec.Value.Disks[i].UUID
		}
		out = append(out, p)
	}
	return out
}

func (r *run) files() []string {
	var out []string
	for _, p := range r.plugs() {
		out = append(out, p.File)
	}
	return out
}

// reply describes a VM for the failover.
func (r *run) reply(ctx context.Context, v inventory.VM) *api.VMRun {
	out := &api.VMRun{Name: v.Name, Ref: string(v.Ref), UUID: v.UUID, Power: v.Power, Host: string(v.Host), IPs: addresses(v, r.identity())}
	if inv, err := r.cache.recent(ctx); err == nil {
		for _, h := range inv.Hosts {
			if h.Ref == v.Host {
				out.Host = h.Name
			}
		}
	}
	return out
}

// identity is the network configuration that the guest is given; nil: it keeps its own.
func (r *run) identity() *inventory.Identity {
	if r.req.NoReIP {
		return nil
	}
	return r.m.Value.Identity
}

// addresses are a VM's as VMware Tools report them: those that it was given come
// first, then IPv4 ones.
func addresses(v inventory.VM, id *inventory.Identity) []string {
	given := givenAddresses(id)
	var out []string
	for _, n := range v.Guest.NICs {
		for _, ip := range n.IPs {
			a, _, _ := strings.Cut(ip, "/")
			if !strings.HasPrefix(a, "fe80:") && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b string) int {
		rank := func(ip string) int {
			switch {
			case slices.Contains(given, ip):
				return 0
			case !strings.Contains(ip, ":"):
				return 1
			}
			return 2
		}
		return rank(a) - rank(b)
	})
	return out
}

// givenAddresses are those that the guest was configured with.
func givenAddresses(id *inventory.Identity) (out []string) {
	if id == nil {
		return nil
	}
	for _, n := range id.NICs {
		if n.IP != "" {
			out = append(out, n.IP)
		}
		for _, s := range n.IPv6 {
			a, _, _ := strings.Cut(s, "/")
			out = append(out, a)
		}
	}
	return out
}
