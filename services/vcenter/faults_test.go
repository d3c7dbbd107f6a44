package vcenter_test

import (
	"context"
	"maps"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/services/vcenter"
)

// faulty is a vCenter whose n-th changing call fails: before it did anything, or
// after it did everything. What the service knew by then is what it wrote down.
type faulty struct {
	vcenter.VCenter
	mu    sync.Mutex
	at    int // fails at this call; 0: never
	after bool
	// lies are calls that do nothing the next time, and give no error.
	lies map[string]bool
	n    int
	hit  string // the call that failed
	// twice: of each kind of call the first fails before its effect, and the second after.
	twice map[string]int
}

func (f *faulty) call(name string, do func() error) error {
	f.mu.Lock()
	f.n++
	fail, after := f.n == f.at, f.after
	if f.twice != nil && f.twice[name] < 2 {
		f.twice[name]++
		fail, after = true, f.twice[name] == 2
	}
	lie := f.lies[name]
	if lie {
		delete(f.lies, name)
		f.hit = name
	}
	f.mu.Unlock()
	if lie {
		return nil
	}
	var err error
	if !fail || after {
		err = do()
	}
	if !fail || err != nil {
		return err
	}
	f.mu.Lock()
	f.hit = name
	f.mu.Unlock()
	return cdp.Errorf(cdp.Transient, name, "", "killed, after its effect: %v", after)
}

// set begins a round: the at-th call will fail.
func (f *faulty) set(at int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.at, f.after, f.hit = 0, at, after, ""
}

// deceive begins a round: the next call of each name is like a task that was accepted,
// and then aborted.
func (f *faulty) deceive(names ...string) {
	f.set(0, false)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lies = map[string]bool{}
	for _, name := range names {
		f.lies[name] = true
	}
}

// believed are the lies that nobody has been told yet.
func (f *faulty) believed() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.lies)
}

// killTwice has the first two of each kind of call fail.
func (f *faulty) killTwice() {
	f.set(0, false)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.twice = map[string]int{}
}

// killed is the call that failed since this was asked last; "" if none did.
func (f *faulty) killed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := f.hit
	f.hit = ""
	return name
}

// calm lets nothing fail any more in this round.
func (f *faulty) calm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = 0
}

func (f *faulty) never() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at == 0
}

func (f *faulty) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// was is the call that failed in this round; "" if none did.
func (f *faulty) was() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

func (f *faulty) Snapshot(ctx context.Context, vm inventory.Ref, name, note string, quiesce bool) (s inventory.Snapshot, err error) {
	err = f.call("Snapshot", func() error { s, err = f.VCenter.Snapshot(ctx, vm, name, note, quiesce); return err })
	return s, err
}

func (f *faulty) RemoveSnapshot(ctx context.Context, vm, s inventory.Ref) error {
	return f.call("RemoveSnapshot", func() error { return f.VCenter.RemoveSnapshot(ctx, vm, s) })
}

func (f *faulty) Revert(ctx context.Context, vm, s inventory.Ref) error {
	return f.call("Revert", func() error { return f.VCenter.Revert(ctx, vm, s) })
}

func (f *faulty) Track(ctx context.Context, vm inventory.Ref) error {
	return f.call("Track", func() error { return f.VCenter.Track(ctx, vm) })
}

func (f *faulty) MakeVM(ctx context.Context, m inventory.Make) (r inventory.Ref, err error) {
	err = f.call("MakeVM", func() error { r, err = f.VCenter.MakeVM(ctx, m); return err })
	return r, err
}

func (f *faulty) Destroy(ctx context.Context, vm inventory.Ref, withDisks bool) error {
	return f.call("Destroy", func() error { return f.VCenter.Destroy(ctx, vm, withDisks) })
}

func (f *faulty) MakeDisk(ctx context.Context, dc inventory.Ref, file string, size int64) error {
	return f.call("MakeDisk", func() error { return f.VCenter.MakeDisk(ctx, dc, file, size) })
}

func (f *faulty) DeleteDisk(ctx context.Context, dc inventory.Ref, file, uuid string) error {
	return f.call("DeleteDisk", func() error { return f.VCenter.DeleteDisk(ctx, dc, file, uuid) })
}

func (f *faulty) Plug(ctx context.Context, vm inventory.Ref, disks []inventory.Plug) (u []string, err error) {
	err = f.call("Plug", func() error { u, err = f.VCenter.Plug(ctx, vm, disks); return err })
	return u, err
}

func (f *faulty) Unplug(ctx context.Context, vm inventory.Ref, files []string) error {
	return f.call("Unplug", func() error { return f.VCenter.Unplug(ctx, vm, files) })
}

func (f *faulty) PowerOn(ctx context.Context, vm inventory.Ref) error {
	return f.call("PowerOn", func() error { return f.VCenter.PowerOn(ctx, vm) })
}

func (f *faulty) PowerOff(ctx context.Context, vm inventory.Ref) error {
	return f.call("PowerOff", func() error { return f.VCenter.PowerOff(ctx, vm) })
}

func (f *faulty) ShutdownGuest(ctx context.Context, vm inventory.Ref) error {
	return f.call("ShutdownGuest", func() error { return f.VCenter.ShutdownGuest(ctx, vm) })
}

func (f *faulty) Block(ctx context.Context, vm inventory.Ref, why string) error {
	return f.call("Block", func() error { return f.VCenter.Block(ctx, vm, why) })
}

func (f *faulty) Unblock(ctx context.Context, vm inventory.Ref) error {
	return f.call("Unblock", func() error { return f.VCenter.Unblock(ctx, vm) })
}

func (f *faulty) SetAutoStart(ctx context.Context, vm inventory.Ref, x inventory.AutoStart) error {
	return f.call("SetAutoStart", func() error { return f.VCenter.SetAutoStart(ctx, vm, x) })
}

func (f *faulty) SetHARestart(ctx context.Context, vm inventory.Ref, x inventory.HARestart) error {
	return f.call("SetHARestart", func() error { return f.VCenter.SetHARestart(ctx, vm, x) })
}

func (f *faulty) Label(ctx context.Context, vm inventory.Ref, name, note string, extra map[string]string) error {
	return f.call("Label", func() error { return f.VCenter.Label(ctx, vm, name, note, extra) })
}

func (f *faulty) Connect(ctx context.Context, vm inventory.Ref, networks map[int32]inventory.Ref) error {
	return f.call("Connect", func() error { return f.VCenter.Connect(ctx, vm, networks) })
}

func (f *faulty) Import(ctx context.Context, i inventory.Import, progress func(int)) (r inventory.Ref, err error) {
	err = f.call("Import", func() error { r, err = f.VCenter.Import(ctx, i, progress); return err })
	return r, err
}

func (f *faulty) Customize(ctx context.Context, vm inventory.Ref, id inventory.Identity) error {
	return f.call("Customize", func() error { return f.VCenter.Customize(ctx, vm, id) })
}

// hook lets a test do something just before a call.
type hook struct {
	*faulty
	makeVM func()
}

func (h *hook) MakeVM(ctx context.Context, m inventory.Make) (inventory.Ref, error) {
	if h.makeVM != nil {
		h.makeVM()
	}
	return h.faulty.MakeVM(ctx, m)
}
