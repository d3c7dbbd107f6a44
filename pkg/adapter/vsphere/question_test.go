package vsphere

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net/url"
	"testing"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// asking plays what the simulator has not: a VM that asks a question when it is
// started.
type asking struct {
	Self     types.ManagedObjectReference
	vm       *simulator.VirtualMachine
	question *types.VirtualMachineQuestionInfo
	answered chan string
	closed   chan struct{}
}

func (g *asking) Reference() types.ManagedObjectReference { return g.Self }

// The simulator would hold an object's lock while its task runs, and a question
// is answered while one does.
func (*asking) Lock()   {}
func (*asking) Unlock() {}

// own makes calls of these methods come here.
func (g *asking) own(reg *simulator.Registry) {
	g.Self = types.ManagedObjectReference{Type: "Asking", Value: "asking"}
	reg.Put(g)
	reg.Handler = func(_ *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
		switch m.Name {
		case "PowerOnVM_Task", "AnswerVM":
			m.This = g.Self
			return g, nil
		}
		return nil, nil
	}
}

func (g *asking) PowerOnVMTask(ctx *simulator.Context, _ *types.PowerOnVM_Task) soap.HasFault {
	bg := *ctx
	set := func(name string, v any) {
		bg.WithLock(g.vm, func() { bg.Update(g.vm, []types.PropertyChange{{Name: name, Val: v}}) })
	}
	if g.question != nil {
		set("runtime.question", *g.question)
	}
	t := simulator.CreateTask(g, "powerOn", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if g.question != nil {
			select {
			case <-g.answered:
			case <-g.closed:
				return nil, &types.RequestCanceled{}
			}
			set("runtime.question", nil)
		}
		set("runtime.powerState", types.VirtualMachinePowerStatePoweredOn)
		return nil, nil
	})
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: t.Run(ctx)}}
}

func (g *asking) AnswerVM(_ *simulator.Context, req *types.AnswerVM) soap.HasFault {
	if g.question == nil || req.QuestionId != g.question.Id {
		return &methods.AnswerVMBody{Fault_: simulator.Fault("", &types.InvalidArgument{InvalidProperty: "questionId"})}
	}
	select {
	case g.answered <- req.AnswerChoice:
	default:
	}
	return &methods.AnswerVMBody{Res: &types.AnswerVMResponse{}}
}

func newAsking(t *testing.T, q *types.VirtualMachineQuestionInfo) (*Client, *asking, inventory.Ref) {
	t.Helper()
	model := simulator.VPX()
	model.Autostart = false
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(model.Remove)
	model.Service.TLS = new(tls.Config)
	reg := model.Map()
	vm := reg.Any("VirtualMachine").(*simulator.VirtualMachine)
	g := &asking{vm: vm, question: q, answered: make(chan string, 1), closed: make(chan struct{})}
	g.own(reg)
	server := model.Service.NewServer()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(g.closed) })
	sum := sha256.Sum256(server.Certificate().Raw)
	u := url.URL{Scheme: "https", Host: server.URL.Host, Path: server.URL.Path}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := Dial(ctx, Config{URL: u.String(), Thumbprint: hex.EncodeToString(sum[:]), User: "user", Password: "pass"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c, g, refOf(&vm.Self)
}

func question(text string, labels ...string) *types.VirtualMachineQuestionInfo {
	q := &types.VirtualMachineQuestionInfo{Id: "17", Text: text}
	for i, l := range labels {
		q.Choice.ChoiceInfo = append(q.Choice.ChoiceInfo, &types.ElementDescription{
			Description: types.Description{Label: l, Summary: l}, Key: string(rune('0' + i))})
	}
	return q
}

func TestPowerOnAnswersThatItWasMoved(t *testing.T) {
	c, g, ref := newAsking(t, question("This virtual machine might have been moved or copied.", "Cancel", "I Moved It", "I Copied It"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// The first is broken off at the question, as by a crash; the second finds it.
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if err := c.PowerOn(short, ref); err != nil && !cdp.Is(err, cdp.Transient) {
		t.Fatal(err)
	}
	if err := c.PowerOn(ctx, ref); err != nil {
		t.Fatal(err)
	}
	m, err := c.load(ctx, "look", g.vm.Self, "runtime.powerState", "runtime.question")
	if err != nil || m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn || m.Runtime.Question != nil {
		t.Errorf("%+v, %v", m.Runtime, err)
	}
}

func TestPowerOnTellsWhatItIsAsked(t *testing.T) {
	c, _, ref := newAsking(t, question("The redo log is corrupt. Discard it, or keep what was removed?", "Yes", "No"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for range 2 {
		err := c.PowerOn(ctx, ref)
		if !cdp.Is(err, cdp.Conflict) || !contains(err.Error(), "redo log is corrupt") || cdp.HintOf(err) == "" {
			t.Errorf("%s: %v", cdp.KindOf(err), err)
		}
	}
}
