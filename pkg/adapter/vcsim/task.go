package vcsim

import (
	"fmt"
	"sync/atomic"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type result = types.AnyType
type fault = types.BaseMethodFault

var taskCount atomic.Int64

// run starts a task on an entity whose body runs under the storage lock.
//
// The simulator locks a task's entity before the call returns and until the
// task ends. With the storage lock that would deadlock (storage then entity
// here, entity then storage there), so the task is begun on an entity of its
// own and given the real one afterwards, before the client can know it.
func (s *Site) run(ctx *simulator.Context, entity types.ManagedObjectReference, name string, body func() (result, fault)) types.ManagedObjectReference {
	own := types.ManagedObjectReference{Type: entity.Type, Value: fmt.Sprintf("vspheretest-%d", taskCount.Add(1))}
	s.tasks.Add(1)
	t := simulator.CreateTask(own, name, func(*simulator.Task) (result, fault) {
		defer s.tasks.Done()
		if f := s.gate.taskFault(name); f != nil {
			return nil, f
		}
		s.storage.Lock()
		defer s.storage.Unlock()
		return body()
	})
	ref := t.Run(ctx)
	ctx.Map.AtomicUpdate(ctx, t, []types.PropertyChange{
		{Name: "info.entity", Val: entity},
		{Name: "info.entityName", Val: s.entityName(entity)},
	})
	return ref
}

func (s *Site) entityName(ref types.ManagedObjectReference) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.vms[ref]; v != nil {
		return v.name
	}
	return ref.Value
}

// inner is the result of a stock task that was started inside one of ours.
func inner(ctx *simulator.Context, ref types.ManagedObjectReference) (result, fault) {
	t := ctx.Map.Get(ref).(*simulator.Task)
	t.Wait()
	if t.Info.Error != nil {
		return nil, t.Info.Error.Fault
	}
	return t.Info.Result, nil
}

// wait is the result of a task that the site started on itself.
func (s *Site) wait(ref types.ManagedObjectReference, err error) (result, error) {
	if err != nil {
		return nil, err
	}
	r, f := inner(s.context(), ref)
	if f != nil {
		return nil, soap.WrapVimFault(f)
	}
	return r, nil
}

func notFound(ref types.ManagedObjectReference) *soap.Fault {
	return simulator.Fault("The object has already been deleted or has not been completely created",
		&types.ManagedObjectNotFound{Obj: ref})
}

// soapFault wraps a fault for an answer, with its type as the message.
func soapFault(f fault) *soap.Fault { return simulator.Fault(fmt.Sprintf("%T", f), f) }

func systemError(err error) fault {
	return &types.SystemError{RuntimeFault: types.RuntimeFault{MethodFault: types.MethodFault{
		FaultCause: &types.LocalizedMethodFault{Fault: &types.SystemErrorFault{Reason: err.Error()}, LocalizedMessage: err.Error()},
	}}, Reason: err.Error()}
}
