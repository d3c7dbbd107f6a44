package vsphere

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// swap is one caller's wish to attach or detach disks of a VM. Whoever has the VM's
// lock carries out all wishes that wait for it, in one change: at a slow vCenter the
// changes of a transporter are what the passes of many VMs have to wait for.
//
// Its result belongs to the holder of the VM's lock.
type swap struct {
	op     string
	plug   []inventory.Plug
	unplug []string

	tried bool // with others, who may be why that failed: it goes alone now
	done  bool
	uuids []string
	err   error
}

// swaps are the wishes that wait, by VM, oldest first.
type swaps struct {
	mu  sync.Mutex
	due map[types.ManagedObjectReference][]*swap
}

// mostTogether is how many wishes one change carries out.
const mostTogether = 16

func (s *swaps) add(vm types.ManagedObjectReference, w *swap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.due == nil {
		s.due = map[types.ManagedObjectReference][]*swap{}
	}
	s.due[vm] = append(s.due[vm], w)
}

func (s *swaps) drop(vm types.ManagedObjectReference, of ...*swap) {
	s.due[vm] = slices.DeleteFunc(s.due[vm], func(w *swap) bool { return slices.Contains(of, w) })
	if len(s.due[vm]) == 0 {
		delete(s.due, vm)
	}
}

func (s *swaps) giveUp(vm types.ManagedObjectReference, w *swap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(vm, w)
}

// take gives the wishes that are carried out with first. None of them is about a disk
// that another is about.
func (s *swaps) take(vm types.ManagedObjectReference, first *swap) []*swap {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []*swap{first}
	for _, w := range s.due[vm] {
		if first.tried || len(out) == mostTogether {
			break
		}
		if w != first && !slices.ContainsFunc(out, w.meets) {
			out = append(out, w)
		}
	}
	s.drop(vm, out...)
	return out
}

// meets reports whether two wishes are about one disk.
func (w *swap) meets(x *swap) bool {
	return slices.ContainsFunc(w.about(), func(d string) bool { return slices.Contains(x.about(), d) })
}

// about are the files of a wish, and the UUIDs of disks that it knows.
func (w *swap) about() []string {
	out := slices.Clone(w.unplug)
	for _, p := range w.plug {
		out = append(out, p.File)
		if p.UUID != "" {
			out = append(out, strings.ToLower(p.UUID))
		}
	}
	return out
}

// swap carries out a wish, with those of others that wait. If ctx ends, it may still be
// carried out.
func (c *Client) swap(ctx context.Context, vm inventory.Ref, w *swap) ([]string, error) {
	ref, err := vmRef(vm)
	if err != nil {
		return nil, err
	}
	c.swaps.add(ref, w)
	unlock, err := c.locks.Lock(ctx, ref)
	if err != nil {
		c.swaps.giveUp(ref, w)
		return nil, c.fail(ctx, w.op, ref.String(), err)
	}
	defer unlock()
	if w.done {
		return w.uuids, w.err
	}
	if all := c.swaps.take(ref, w); len(all) > 1 && c.together(ctx, ref, all) {
		return w.uuids, w.err
	}
	if len(w.unplug) > 0 {
		return nil, c.takeOut(ctx, w.op, ref, w.unplug)
	}
	return c.putIn(ctx, w.op, ref, w.plug)
}

// together carries out several wishes in one change. False: it failed, and each has to
// be tried alone, so that nobody suffers from what is wrong with another's disks. Call
// with the VM's lock held.
func (c *Client) together(ctx context.Context, ref types.ManagedObjectReference, all []*swap) bool {
	const op = "attach and detach disks"
	var plugs []inventory.Plug
	for _, w := range all {
		w.tried = true
		plugs = append(plugs, w.plug...)
	}
	m, err := c.settledConfig(ctx, op, ref)
	if err != nil {
		return false
	}
	were := m.Config.Hardware.Device
	changes, err := plugging(were, m.Config.Version, plugs)
	if err != nil {
		return false
	}
	for _, w := range all {
		outs, err := unplugging(were, w.unplug)
		if err != nil {
			return false
		}
		changes = append(changes, outs...)
	}
	if len(changes) > 0 {
		if err := c.reconfigure(ctx, op, ref, types.VirtualMachineConfigSpec{ChangeVersion: m.Config.ChangeVersion, DeviceChange: changes}); err != nil {
			return false
		}
		if m, err = c.config(ctx, op, ref); err != nil {
			return false
		}
	}
	for _, w := range all {
		if len(w.plug) > 0 {
			w.uuids, w.err = c.tellApart(ctx, w.op, ref, w.plug, were, m.Config.Hardware.Device)
		}
		w.done = w.err == nil || !cdp.Is(w.err, cdp.Transient)
	}
	return all[0].done
}

// unplugging is the change that detaches those of the files that are attached.
func unplugging(devices []types.BaseVirtualDevice, files []string) ([]types.BaseVirtualDeviceConfigSpec, error) {
	var out []types.BaseVirtualDeviceConfigSpec
	for _, file := range files {
		d, _, err := attached(devices, file)
		if err != nil {
			return nil, err
		}
		if d != nil {
			// No file operation: the files stay.
			out = append(out, change(types.VirtualDeviceConfigSpecOperationRemove, d))
		}
	}
	return out, nil
}
