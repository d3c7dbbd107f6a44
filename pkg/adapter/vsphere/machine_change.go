package vsphere

import (
	"context"
	"slices"
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
	if _, err := c.settled(ctx, op, vm); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// settled waits until no reconfiguration of the VM is running, and returns its
// properties as they are then. If none is, that is one call.
func (c *Client) settled(ctx context.Context, op string, vm types.ManagedObjectReference, paths ...string) (mo.VirtualMachine, error) {
	short, cancel := context.WithTimeout(ctx, othersChange)
	defer cancel()
	for {
		m, tasks, err := c.withTasks(ctx, op, vm, paths)
		if err != nil {
			return m, err
		}
		i := slices.IndexFunc(tasks, func(t mo.Task) bool {
			running := t.Info.State == types.TaskInfoStateRunning || t.Info.State == types.TaskInfoStateQueued
			return running && strings.HasPrefix(t.Info.DescriptionId, "VirtualMachine.reconfig")
		})
		if i < 0 {
			return m, nil
		}
		// Its result is its caller's business.
		_, _ = c.await(short, op, vm.String(), tasks[i].Self)
		if short.Err() != nil {
			return m, cdp.Errorf(cdp.Transient, op, vm.String(), "another change of the VM is still running (%s)", tasks[i].Self.Value)
		}
	}
}

// withTasks reads properties of a VM, and its recent tasks, in one call.
func (c *Client) withTasks(ctx context.Context, op string, vm types.ManagedObjectReference, paths []string) (m mo.VirtualMachine, tasks []mo.Task, err error) {
	spec := types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: vm, SelectSet: []types.BaseSelectionSpec{
			&types.TraversalSpec{Type: "VirtualMachine", Path: "recentTask", Skip: types.NewBool(false)}}}},
		PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: append([]string{"recentTask"}, paths...)}, {Type: "Task", PathSet: []string{"info"}}},
	}
	err = c.do(ctx, op, vm.String(), func(ctx context.Context, v *vim25.Client) error {
		m, tasks = mo.VirtualMachine{}, nil
		res, err := property.DefaultCollector(v).RetrieveProperties(ctx, types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{spec}})
		if err != nil {
			return err
		}
		for _, o := range res.Returnval {
			switch {
			case o.Obj == vm:
				err = mo.LoadObjectContent([]types.ObjectContent{o}, &m)
			case len(o.PropSet) > 0: // a task that is gone has none
				var t mo.Task
				err = mo.LoadObjectContent([]types.ObjectContent{o}, &t)
				tasks = append(tasks, t)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return m, tasks, err
}

// settledConfig is settled for a VM's configuration; see config.
func (c *Client) settledConfig(ctx context.Context, op string, vm types.ManagedObjectReference) (mo.VirtualMachine, error) {
	m, err := c.settled(ctx, op, vm, "config", "runtime.connectionState")
	if err == nil && m.Config == nil {
		err = unreachable(op, &m)
	}
	return m, err
}

// unreachable is why a VM has no configuration.
func unreachable(op string, m *mo.VirtualMachine) error {
	return cdp.Errorf(cdp.Conflict, op, m.Self.String(), "the vCenter has no configuration of the VM: its state is %s", m.Runtime.ConnectionState).
		WithHint("check that its host is connected and its datastore accessible")
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
		err = unreachable(op, &m)
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
// the same key. If the VM changed in between, it is read and decided again. It also
// waits for a reconfiguration that is still running, as exclusive does; the caller has
// the VM's lock.
func (c *Client) rework(ctx context.Context, op string, vm types.ManagedObjectReference, think func(mo.VirtualMachine) (*types.VirtualMachineConfigSpec, error)) error {
	between := betweenTries()
	for try := 1; ; try++ {
		m, err := c.settledConfig(ctx, op, vm)
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
		if err := between.Wait(ctx); err != nil {
			return c.fail(ctx, op, vm.String(), err)
		}
	}
}

// betweenTries are the pauses between the tries of a change.
func betweenTries() *clock.Backoff {
	return &clock.Backoff{Min: 50 * time.Millisecond, Max: 400 * time.Millisecond}
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
