package vsphere

import (
	"context"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// othersChange is how long to wait for a change that somebody else began.
const othersChange = 30 * time.Second

// exclusive takes the VM's lock and waits for a reconfiguration that is still
// running: a task of ours continues at the vCenter after its caller died, and its
// effect must be visible before the next change. Whoever reads a VM's devices to
// decide on a change needs this lock.
func (c *Client) exclusive(ctx context.Context, op string, vm types.ManagedObjectReference) (unlock func(), err error) {
	unlock, err = c.locks.Lock(ctx, vm)
	if err != nil {
		return nil, c.fail(ctx, op, vm.String(), err)
	}
	if err := c.untilUnchanging(ctx, op, vm); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// untilUnchanging waits until no reconfiguration of the VM is running.
func (c *Client) untilUnchanging(ctx context.Context, op string, vm types.ManagedObjectReference) error {
	m, err := c.load(ctx, op, vm, "recentTask")
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, othersChange)
	defer cancel()
	for _, ref := range m.RecentTask {
		var t mo.Task
		err := c.do(short, op, vm.String(), func(ctx context.Context, v *vim25.Client) error {
			return property.DefaultCollector(v).RetrieveOne(ctx, ref, []string{"info"}, &t)
		})
		if cdp.Is(err, cdp.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		running := t.Info.State == types.TaskInfoStateRunning || t.Info.State == types.TaskInfoStateQueued
		if !running || !strings.HasPrefix(t.Info.DescriptionId, "VirtualMachine.reconfig") {
			continue
		}
		// Its result is its caller's business.
		_, _ = c.await(short, op, vm.String(), ref)
		if short.Err() != nil {
			return cdp.Errorf(cdp.Transient, op, vm.String(), "another change of the VM is still running (%s)", ref.Value)
		}
	}
	return nil
}

// load reads properties of a VM.
func (c *Client) load(ctx context.Context, op string, vm types.ManagedObjectReference, paths ...string) (mo.VirtualMachine, error) {
	var m mo.VirtualMachine
	err := c.do(ctx, op, vm.String(), func(ctx context.Context, v *vim25.Client) error {
		m = mo.VirtualMachine{}
		return property.DefaultCollector(v).RetrieveOne(ctx, vm, paths, &m)
	})
	return m, err
}

// config reads a VM with its configuration. A VM that cannot be reached has none,
// which is a Conflict.
func (c *Client) config(ctx context.Context, op string, vm types.ManagedObjectReference, paths ...string) (mo.VirtualMachine, error) {
	m, err := c.load(ctx, op, vm, append(paths, "config", "runtime.connectionState")...)
	if err == nil && m.Config == nil {
		return m, cdp.Errorf(cdp.Conflict, op, vm.String(), "the vCenter has no configuration of the VM: its state is %s", m.Runtime.ConnectionState).
			WithHint("check that its host is connected and its datastore accessible")
	}
	return m, err
}

// reconfigure changes a VM and waits for it.
func (c *Client) reconfigure(ctx context.Context, op string, vm types.ManagedObjectReference, spec types.VirtualMachineConfigSpec) error {
	_, err := c.task(ctx, op, vm.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		return object.NewVirtualMachine(v, vm).Reconfigure(ctx, spec)
	})
	return err
}

// rework changes a VM by the spec that think returns for its current
// configuration; nil means no change. The spec carries the change version that was
// read, so a late call of a dead process cannot hit another device that has got
// the same key. If the VM changed in between, it is read and decided again.
func (c *Client) rework(ctx context.Context, op string, vm types.ManagedObjectReference, think func(mo.VirtualMachine) (*types.VirtualMachineConfigSpec, error)) error {
	between := betweenTries()
	for try := 1; ; try++ {
		m, err := c.config(ctx, op, vm)
		if err != nil {
			return err
		}
		spec, err := think(m)
		if err != nil || spec == nil {
			return err
		}
		spec.ChangeVersion = m.Config.ChangeVersion
		err = c.reconfigure(ctx, op, vm, *spec)
		if err == nil || try == 5 || ctx.Err() != nil || !cdp.Is(err, cdp.Transient) {
			return err
		}
		if err := c.pause(ctx, op, vm, between); err != nil {
			return err
		}
	}
}

// betweenTries are the pauses between the tries of a change.
func betweenTries() *clock.Backoff {
	return &clock.Backoff{Min: 50 * time.Millisecond, Max: 400 * time.Millisecond}
}

// pause waits before the next try of a change, and then until nobody else is
// changing the VM.
func (c *Client) pause(ctx context.Context, op string, vm types.ManagedObjectReference, between *clock.Backoff) error {
	if err := between.Wait(ctx); err != nil {
		return c.fail(ctx, op, vm.String(), err)
	}
	return c.untilUnchanging(ctx, op, vm)
}

// settings are a VM's advanced settings.
func settings(m mo.VirtualMachine) map[string]string {
	out := map[string]string{}
	if m.Config == nil {
		return out
	}
	for _, o := range m.Config.ExtraConfig {
		v := o.GetOptionValue()
		if s, ok := v.Value.(string); ok {
			out[v.Key] = s
		}
	}
	return out
}

// changedSettings are the settings of want that differ from have. A value of ""
// removes a setting.
func changedSettings(have, want map[string]string) []types.BaseOptionValue {
	var out []types.BaseOptionValue
	for _, k := range sortedKeys(want) {
		if have[k] != want[k] {
			out = append(out, &types.OptionValue{Key: k, Value: want[k]})
		}
	}
	return out
}

// isFault reports whether err is a fault of exactly this type.
func isFault[F types.BaseMethodFault](err error) bool {
	if err == nil {
		return false
	}
	f, _ := faultOf(err)
	_, is := f.(F)
	return is
}
