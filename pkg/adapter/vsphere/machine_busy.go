package vsphere

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
)

// vmLocks are one lock for each VM: what reads a VM's devices to decide what to
// change must not be overtaken by another that does the same. The zero value is
// ready.
type vmLocks struct {
	mu sync.Mutex
	m  map[types.ManagedObjectReference]chan struct{}
}

// lock waits its turn, or for ctx to end.
func (l *vmLocks) lock(ctx context.Context, vm types.ManagedObjectReference) (unlock func(), err error) {
	l.mu.Lock()
	if l.m == nil {
		l.m = map[types.ManagedObjectReference]chan struct{}{}
	}
	held := l.m[vm]
	if held == nil {
		held = make(chan struct{}, 1)
		l.m[vm] = held
	}
	l.mu.Unlock()
	select {
	case held <- struct{}{}:
		return func() { <-held }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// settling is how long a change that somebody else began is waited for.
const settling = 30 * time.Second

// settle takes the VM's lock and waits for a change of its hardware that is
// still under way: one of ours whose caller died goes on at the vCenter, and
// what it does must be seen before more is done.
func (c *Client) settle(ctx context.Context, op string, vm types.ManagedObjectReference) (unlock func(), err error) {
	unlock, err = c.busy.lock(ctx, vm)
	if err != nil {
		return nil, c.fail(ctx, op, vm.String(), err)
	}
	if err := c.settled(ctx, op, vm); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

func (c *Client) settled(ctx context.Context, op string, vm types.ManagedObjectReference) error {
	m, err := c.load(ctx, op, vm, "recentTask")
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, settling)
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
		// How it ended is its caller's business.
		_, _ = c.await(short, op, vm.String(), ref)
		if short.Err() != nil {
			return cdp.Errorf(cdp.Transient, op, vm.String(), "another change of the VM is still under way (%s)", ref.Value)
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

// config reads a VM with its configuration, of which a VM that cannot be
// reached has none.
func (c *Client) config(ctx context.Context, op string, vm types.ManagedObjectReference, paths ...string) (mo.VirtualMachine, error) {
	m, err := c.load(ctx, op, vm, append(paths, "config", "runtime.connectionState")...)
	if err == nil && m.Config == nil {
		return m, cdp.Errorf(cdp.Conflict, op, vm.String(), "the vCenter does not know its configuration: it is %s", m.Runtime.ConnectionState).
			WithHint("see whether its host is connected and its datastore accessible")
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

// rework changes a VM by what think makes of it as it stands; nil is nothing.
// The vCenter takes the change only of the VM that was read: so a call that
// arrives late, from a process that is dead, finds no other device under a key
// that it names. What was changed meanwhile is read and thought of again.
func (c *Client) rework(ctx context.Context, op string, vm types.ManagedObjectReference, think func(mo.VirtualMachine) (*types.VirtualMachineConfigSpec, error)) error {
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
		if err := c.pause(ctx, op, vm, try); err != nil {
			return err
		}
	}
}

// pause comes after the try-th try of a change, the longer the more there were,
// and lasts until the VM is not being changed.
func (c *Client) pause(ctx context.Context, op string, vm types.ManagedObjectReference, try int) error {
	if err := sleep(ctx, time.Duration(try)*50*time.Millisecond); err != nil {
		return c.fail(ctx, op, vm.String(), err)
	}
	return c.settled(ctx, op, vm)
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

// changedSettings are those of want that have is not like; a value of "" takes
// a setting away.
func changedSettings(have, want map[string]string) []types.BaseOptionValue {
	var out []types.BaseOptionValue
	for _, k := range sortedKeys(want) {
		if have[k] != want[k] {
			out = append(out, &types.OptionValue{Key: k, Value: want[k]})
		}
	}
	return out
}

// isFault reports whether err is a fault of that very type.
func isFault[F types.BaseMethodFault](err error) bool {
	if err == nil {
		return false
	}
	f, _ := faultOf(err)
	_, is := f.(F)
	return is
}
