package vsphere

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
)

// guestSide plays what the simulator has not: a VM that asks a question when it
// is started, and programs in its guest.
type guestSide struct {
	Self     types.ManagedObjectReference
	vm       *simulator.VirtualMachine
	question *types.VirtualMachineQuestionInfo
	answered chan string
	closed   chan struct{}

	mu      sync.Mutex
	polls   int // until the program ends; -1: it never does
	started []string
	ended   int
}

func (g *guestSide) Reference() types.ManagedObjectReference { return g.Self }

// The simulator would hold an object's lock while its task runs, and a question
// is answered while one does.
func (*guestSide) Lock()   {}
func (*guestSide) Unlock() {}

// own makes calls of these methods come here.
func (g *guestSide) own(reg *simulator.Registry) {
	g.Self = types.ManagedObjectReference{Type: "GuestSide", Value: "guest-side"}
	reg.Put(g)
	reg.Handler = func(_ *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
		switch m.Name {
		case "PowerOnVM_Task", "AnswerVM", "StartProgramInGuest", "ListProcessesInGuest", "TerminateProcessInGuest":
			m.This = g.Self
			return g, nil
		}
		return nil, nil
	}
}

func (g *guestSide) PowerOnVMTask(ctx *simulator.Context, _ *types.PowerOnVM_Task) soap.HasFault {
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

func (g *guestSide) AnswerVM(_ *simulator.Context, req *types.AnswerVM) soap.HasFault {
	if g.question == nil || req.QuestionId != g.question.Id {
		return &methods.AnswerVMBody{Fault_: simulator.Fault("", &types.InvalidArgument{InvalidProperty: "questionId"})}
	}
	select {
	case g.answered <- req.AnswerChoice:
	default:
	}
	return &methods.AnswerVMBody{Res: &types.AnswerVMResponse{}}
}

func (g *guestSide) StartProgramInGuest(_ *simulator.Context, req *types.StartProgramInGuest) soap.HasFault {
	body := &methods.StartProgramInGuestBody{}
	spec := req.Spec.(*types.GuestProgramSpec)
	switch {
	case req.Auth.(*types.NamePasswordAuthentication).Password != "right":
		body.Fault_ = simulator.Fault("", &types.InvalidGuestLogin{})
	case spec.ProgramPath == "/bin/none":
		body.Fault_ = simulator.Fault("", &types.FileNotFound{FileFault: types.FileFault{File: spec.ProgramPath}})
	default:
		g.mu.Lock()
		g.started = append(g.started, spec.ProgramPath+" "+spec.Arguments)
		g.mu.Unlock()
		body.Res = &types.StartProgramInGuestResponse{Returnval: 42}
	}
	return body
}

func (g *guestSide) ListProcessesInGuest(_ *simulator.Context, req *types.ListProcessesInGuest) soap.HasFault {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := types.GuestProcessInfo{Pid: req.Pids[0], StartTime: time.Now()}
	if g.polls == 0 {
		p.EndTime, p.ExitCode = types.NewTime(time.Now()), 7
	} else if g.polls > 0 {
		g.polls--
	}
	return &methods.ListProcessesInGuestBody{Res: &types.ListProcessesInGuestResponse{Returnval: []types.GuestProcessInfo{p}}}
}

func (g *guestSide) TerminateProcessInGuest(*simulator.Context, *types.TerminateProcessInGuest) soap.HasFault {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended++
	return &methods.TerminateProcessInGuestBody{Res: &types.TerminateProcessInGuestResponse{}}
}

func newGuestSide(t *testing.T, q *types.VirtualMachineQuestionInfo, on bool) (*Client, *guestSide, vms.Ref) {
	t.Helper()
	model := simulator.VPX()
	model.Autostart = on
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(model.Remove)
	model.Service.TLS = new(tls.Config)
	reg := model.Map()
	vm := reg.Any("VirtualMachine").(*simulator.VirtualMachine)
	if on {
		ctx := *model.Service.Context
		ctx.WithLock(vm, func() {
			ctx.Update(vm, []types.PropertyChange{{Name: "guest.toolsRunningStatus", Val: string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)}})
		})
	}
	g := &guestSide{vm: vm, question: q, answered: make(chan string, 1), closed: make(chan struct{})}
	g.own(reg)
	server := model.Service.NewServer()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(g.closed) })
	sum := sha256.Sum256(server.Certificate().Raw)
	u := url.URL{Scheme: "https", Host: server.URL.Host, Path: server.URL.Path}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
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
	c, g, ref := newGuestSide(t, question("This virtual machine might have been moved or copied.", "Cancel", "I Moved It", "I Copied It"), false)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
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
	c, _, ref := newGuestSide(t, question("The redo log is corrupt. Discard it, or keep what was removed?", "Yes", "No"), false)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 2 {
		err := c.PowerOn(ctx, ref)
		if !cdp.Is(err, cdp.Conflict) || !contains(err.Error(), "redo log is corrupt") || cdp.HintOf(err) == "" {
			t.Errorf("%s: %v", cdp.KindOf(err), err)
		}
	}
}

func TestRunInGuest(t *testing.T) {
	c, g, ref := newGuestSide(t, nil, true)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	g.polls = 2
	code, err := c.Run(ctx, ref, vms.Login{User: "root", Password: "right"}, "/bin/check", "-a b")
	if err != nil || code != 7 || len(g.started) != 1 || g.started[0] != "/bin/check -a b" {
		t.Errorf("%d, %v, %v", code, err, g.started)
	}
	for _, tc := range []struct{ password, program, says string }{
		{"wrong", "/bin/check", `the user "root"`}, {"right", "/bin/none", "no such program"}} {
		_, err := c.Run(ctx, ref, vms.Login{User: "root", Password: tc.password}, tc.program, "")
		if !cdp.Is(err, cdp.Invalid) || !contains(err.Error(), tc.says) || contains(err.Error(), "wrong ") {
			t.Errorf("%s: %v", cdp.KindOf(err), err)
		}
	}
	// One that does not end is ended with ctx.
	g.polls = -1
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	_, err = c.Run(short, ref, vms.Login{User: "root", Password: "right"}, "/bin/sleep", "inf")
	if !cdp.Is(err, cdp.Transient) || g.ended != 1 {
		t.Errorf("%v, ended %d", err, g.ended)
	}
}

func TestRunNeedsTools(t *testing.T) {
	c, g, ref := newGuestSide(t, nil, false)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := c.Run(ctx, ref, vms.Login{}, "/bin/true", ""); !cdp.Is(err, cdp.Conflict) {
		t.Errorf("off: %v", err)
	}
	if err := c.PowerOn(ctx, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(ctx, ref, vms.Login{}, "/bin/true", ""); !cdp.Is(err, cdp.Transient) || !contains(err.Error(), "Tools") {
		t.Errorf("without tools: %v", err)
	}
	if len(g.started) != 0 {
		t.Errorf("started %v", g.started)
	}
}
