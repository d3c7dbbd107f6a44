package vsphere

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/inventory"
)

// PowerOn starts a VM; it is no error if it is on. It answers a question whether
// the VM was moved or copied. Conflict: the VM asks another question, which a
// person must answer, or its power-on is blocked.
func (c *Client) PowerOn(ctx context.Context, vm inventory.Ref) error {
	const op = "power a VM on"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	m, err := c.config(ctx, op, ref, "runtime.powerState", "runtime.question")
	if err != nil {
		return err
	}
	if q := m.Runtime.Question; q != nil {
		// A question that an earlier power-on waits for.
		if err := c.answer(ctx, op, ref, q); err != nil {
			return err
		}
	}
	if m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
		return nil
	}
	if why := settings(m)[settingBlocked]; why != "" {
		return cdp.Errorf(cdp.Conflict, op, ref.String(), "its power-on is blocked: %s", why)
	}
	err = c.attended(ctx, op, ref, func(ctx context.Context) error {
		_, err := c.task(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
			return object.NewVirtualMachine(v, ref).PowerOn(ctx)
		})
		return err
	})
	return c.unlessPower(ctx, op, ref, types.VirtualMachinePowerStatePoweredOn, err)
}

// PowerOff turns a VM off hard; it is no error if it is off.
func (c *Client) PowerOff(ctx context.Context, vm inventory.Ref) error {
	const op = "power a VM off"
	ref, off, err := c.off(ctx, op, vm)
	if err != nil || off {
		return err
	}
	_, err = c.task(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		return object.NewVirtualMachine(v, ref).PowerOff(ctx)
	})
	return c.unlessPower(ctx, op, ref, types.VirtualMachinePowerStatePoweredOff, err)
}

// ShutdownGuest asks a VM's guest to shut down, through VMware Tools, and does not wait
// for it. It is no error if the VM is off. Conflict: VMware Tools do not run.
func (c *Client) ShutdownGuest(ctx context.Context, vm inventory.Ref) error {
	const op = "shut a guest down"
	ref, off, err := c.off(ctx, op, vm)
	if err != nil || off {
		return err
	}
	err = c.do(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) error {
		return object.NewVirtualMachine(v, ref).ShutdownGuest(ctx)
	})
	return c.unlessPower(ctx, op, ref, types.VirtualMachinePowerStatePoweredOff, err)
}

// unlessPower ignores err if the VM is in the wanted state: somebody else was
// faster.
func (c *Client) unlessPower(ctx context.Context, op string, vm types.ManagedObjectReference, want types.VirtualMachinePowerState, err error) error {
	if err == nil || ctx.Err() != nil || cdp.Is(err, cdp.NotFound) {
		return err
	}
	if m, e := c.load(ctx, op, vm, "runtime.powerState", "runtime.question"); e == nil &&
		m.Runtime.PowerState == want && m.Runtime.Question == nil {
		return nil
	}
	return err
}

// attended runs fn and meanwhile watches for a question of the VM: a task does not
// end before the question is answered.
func (c *Client) attended(ctx context.Context, op string, vm types.ManagedObjectReference, fn func(context.Context) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var asked error
	var wg sync.WaitGroup
	wg.Go(func() {
		between := clock.Backoff{Min: 100 * time.Millisecond, Max: 2 * time.Second}
		for between.Wait(inner) == nil {
			m, err := c.load(inner, op, vm, "runtime.question")
			if err != nil || m.Runtime.Question == nil {
				continue
			}
			if err := c.answer(inner, op, vm, m.Runtime.Question); cdp.Is(err, cdp.Conflict) {
				asked = err
				cancel() // fn stops waiting
				return
			}
		}
	})
	err := fn(inner)
	cancel()
	wg.Wait()
	if err != nil && asked != nil {
		return asked
	}
	return err
}

// answer answers a VM's question whether it was moved: it was, and keeps its
// identity. Conflict: it is another question.
func (c *Client) answer(ctx context.Context, op string, vm types.ManagedObjectReference, q *types.VirtualMachineQuestionInfo) error {
	for _, o := range q.Choice.ChoiceInfo {
		d := o.GetElementDescription()
		text := strings.ToLower(d.Key + " " + d.Label + " " + d.Summary)
		if !strings.Contains(text, "moved it") && !strings.Contains(text, "movedthevm") {
			continue
		}
		return c.do(ctx, op, vm.String(), func(ctx context.Context, v *vim25.Client) error {
			err := object.NewVirtualMachine(v, vm).Answer(ctx, q.Id, d.Key)
			if isFault[*types.ConcurrentAccess](err) {
				return nil // somebody else has answered it
			}
			return err
		})
	}
	return cdp.Errorf(cdp.Conflict, op, vm.String(), "the VM waits for the answer to a question: %s", strings.TrimSpace(q.Text)).
		WithHint("answer it in the vSphere Client")
}

// off reports whether a VM is off.
func (c *Client) off(ctx context.Context, op string, vm inventory.Ref) (ref types.ManagedObjectReference, off bool, err error) {
	if ref, err = vmRef(vm); err != nil {
		return ref, false, err
	}
	m, err := c.load(ctx, op, ref, "runtime.powerState")
	return ref, err == nil && m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff, err
}
