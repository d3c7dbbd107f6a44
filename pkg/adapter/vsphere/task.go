package vsphere

import (
	"context"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	gtask "github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// task starts a task, waits for its end, and returns its result. It survives an
// expired session, a lost connection and a restart of the vCenter by looking the
// task up again. It polls instead of waiting for updates, so there is no state at
// the vCenter that could be lost.
//
// If ctx ends, the task continues at the vCenter; a later call finds its effect.
// Transient: it was cancelled there, or the vCenter forgot it, and its effect must
// be looked up.
func (c *Client) task(ctx context.Context, op, subject string, start func(ctx context.Context, v *vim25.Client) (*object.Task, error)) (types.AnyType, error) {
	var ref types.ManagedObjectReference
	err := c.do(ctx, op, subject, func(ctx context.Context, v *vim25.Client) error {
		t, err := start(ctx, v)
		if err == nil {
			ref = t.Reference()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.await(ctx, op, subject, ref)
}

func (c *Client) await(ctx context.Context, op, subject string, ref types.ManagedObjectReference) (types.AnyType, error) {
	began := time.Now()
	answered := began
	for {
		var t mo.Task
		err := c.do(ctx, op, subject, func(ctx context.Context, v *vim25.Client) error {
			return property.DefaultCollector(v).RetrieveOne(ctx, ref, []string{"info"}, &t)
		})
		switch {
		case err == nil:
			answered = time.Now()
		case cdp.Is(err, cdp.NotFound):
			return nil, cdp.Errorf(cdp.Transient, op, subject,
				"the vCenter no longer knows the task %s; it may have restarted, and whether the task was done is not known", ref.Value)
		case ctx.Err() != nil, !cdp.Is(err, cdp.Transient), time.Since(answered) > unreached:
			return nil, err
		}
		switch t.Info.State {
		case types.TaskInfoStateSuccess:
			return t.Info.Result, nil
		case types.TaskInfoStateError:
			return nil, c.taskError(ctx, op, subject, t.Info)
		}
		// In proportion to the time it takes: short tasks are noticed at once, and
		// long ones cost few calls.
		pause := min(max(time.Since(began)/10, 20*time.Millisecond), time.Second)
		if err != nil {
			pause = time.Second
		}
		if err := clock.Sleep(ctx, clock.System, pause); err != nil {
			return nil, c.fail(ctx, op, subject, err)
		}
	}
}

// taskError is the error of a task that failed.
func (c *Client) taskError(ctx context.Context, op, subject string, info types.TaskInfo) error {
	if info.Cancelled || info.Error == nil {
		return c.failed(ctx, op, subject, &types.RequestCanceled{}, "")
	}
	return c.fail(ctx, op, subject, gtask.Error{LocalizedMethodFault: info.Error, Description: info.Description})
}
