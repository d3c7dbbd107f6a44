package vcsim

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// gate sees every SOAP call before the simulator dispatches it.
type gate struct {
	s       *Site
	targets map[string]mo.Reference // by the type of the called object

	mu       sync.Mutex
	faults   map[string]*injected // by method
	tasks    map[string]*injected // by task name, e.g. createSnapshot
	delays   map[string]*delayed
	slow     time.Duration // what every call takes besides
	late     int           // calls that wait for their delay
	calls    map[string]int
	reads    map[string]int // by the type of the first object
	denied   map[string]bool
	disabled map[types.ManagedObjectReference]map[string]string // entity, method: source
	polls    map[*simulator.PropertyCollector]bool
	subjects map[*simulator.PropertyCollector]subject // see sift
}

type injected struct {
	fault fault
	times int
}

type delayed struct {
	d     time.Duration
	times int
}

func newGate(s *Site) *gate {
	return &gate{
		s: s, targets: map[string]mo.Reference{},
		faults: map[string]*injected{}, tasks: map[string]*injected{}, delays: map[string]*delayed{},

		calls: map[string]int{}, reads: map[string]int{}, denied: map[string]bool{},
		disabled: map[types.ManagedObjectReference]map[string]string{},
		polls:    map[*simulator.PropertyCollector]bool{},
		subjects: map[*simulator.PropertyCollector]subject{},
	}
}

// target is one of our objects, which answers for all objects of one type; the body
// of a call still names the real object. It opts out of the simulator's object
// lock, because its methods lock the real object.
type target struct {
	// The simulator's searches look into every object of the registry, and
	// panic at one that does not begin with a type of package mo.
	mo.EnvironmentBrowser
	s *Site
}

func newTarget(ref types.ManagedObjectReference, s *Site) target {
	return target{mo.EnvironmentBrowser{Self: ref}, s}
}

func (t *target) Reference() types.ManagedObjectReference { return t.Self }
func (*target) Lock()                                     {}
func (*target) Unlock()                                   {}

// redirect has one of our objects answer the methods that it has, for all objects
// of a type.
func (g *gate) redirect(kind string, obj mo.Reference) {
	g.s.registry().Put(obj)
	g.targets[kind] = obj
}

func (s *Site) target(kind string) target {
	return newTarget(types.ManagedObjectReference{Type: "Vspheretest" + kind, Value: "vspheretest-" + kind}, s)
}

// goName is the name of the Go method that handles a SOAP method.
func goName(method string) string {
	name := strings.ToUpper(method[:1]) + method[1:]
	if n, ok := strings.CutSuffix(name, "_Task"); ok {
		return n + "Task"
	}
	return name
}

func (g *gate) handle(ctx *simulator.Context, m *simulator.Method) (mo.Reference, fault) {
	if ctx.Context == nil || ctx.Value(inside{}) == nil {
		if f := g.check(ctx, m); f != nil {
			return nil, f
		}
	}
	g.notePoll(ctx, m)
	if t := g.targets[m.This.Type]; t != nil && reflect.ValueOf(t).MethodByName(goName(m.Name)).IsValid() {
		if g.s.registry().Get(m.This) == nil {
			return nil, nil // let the simulator say that it does not exist
		}
		m.This = t.Reference() // the dispatcher looks the object up again
		return t, nil
	}
	return nil, nil
}

// readsOf is the type of the first object of which a call reads properties; empty if it
// reads none.
func readsOf(m *simulator.Method) string {
	var specs []types.PropertyFilterSpec
	switch r := m.Body.(type) {
	case *types.RetrieveProperties:
		specs = r.SpecSet
	case *types.RetrievePropertiesEx:
		specs = r.SpecSet
	}
	for _, s := range specs {
		for _, o := range s.ObjectSet {
			return o.Obj.Type
		}
	}
	return ""
}

func (g *gate) check(ctx *simulator.Context, m *simulator.Method) fault {
	g.mu.Lock()
	g.calls[m.Name]++
	if kind := readsOf(m); kind != "" {
		g.reads[kind]++
	}
	wait := g.slow
	if d := g.delays[m.Name]; d != nil && d.times > 0 {
		d.times--
		wait += d.d
	}
	if wait > 0 {
		g.late++
	}
	var f fault
	if i := g.faults[m.Name]; i != nil && i.times > 0 {
		i.times--
		f = i.fault
	}
	if f == nil && ctx.Session != nil {
		f = g.forbidden(m)
	}
	g.mu.Unlock()
	if wait > 0 {
		g.s.sleep(wait)
		g.mu.Lock()
		g.late--
		g.mu.Unlock()
	}
	if f == nil && ctx.Session != nil {
		f = g.s.hostGone(m)
	}
	return f
}

// forbidden is why a method may not be called now. g.mu is held.
func (g *gate) forbidden(m *simulator.Method) fault {
	for _, p := range privileges(m) {
		if g.denied[p] {
			this := m.This
			return &types.NoPermission{Object: &this, PrivilegeId: p}
		}
	}
	if source, ok := g.disabled[m.This][m.Name]; ok {
		return &types.MethodDisabled{Source: source}
	}
	return nil
}

// notePoll records who may be in a long poll, so that closing can end it, and sifts
// what a poll waits for.
func (g *gate) notePoll(ctx *simulator.Context, m *simulator.Method) {
	if ctx.Session == nil || m.This.Type != "PropertyCollector" {
		return
	}
	pc, ok := ctx.Session.Get(m.This).(*simulator.PropertyCollector)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sift(ctx, pc, m)
	switch m.Name {
	case "WaitForUpdatesEx", "WaitForUpdates":
		g.polls[pc] = true
	case "DestroyPropertyCollector":
		delete(g.polls, pc)
	}
}

func (g *gate) cancelPolls() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for pc := range g.polls {
		pc.CancelWaitForUpdates(&types.CancelWaitForUpdates{})
	}
}

func (g *gate) taskFault(name string) fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := g.tasks[name]; i != nil && i.times > 0 {
		i.times--
		return i.fault
	}
	return nil
}

func asFault(f any) fault {
	switch x := f.(type) {
	case fault:
		return x
	case error:
		return systemError(x)
	}
	return systemError(errors.New(fmt.Sprint(f)))
}

// Fault makes the next calls of a SOAP method, such as "CreateSnapshot_Task", fail.
// The fault is a types.BaseMethodFault or an error. times 0 ends it.
func (s *Site) Fault(method string, f any, times int) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.faults[method] = &injected{asFault(f), times}
}

// FaultTask makes the next tasks of a name, such as "createSnapshot" or
// "reconfigVm", fail after the call that started them succeeded. It covers the
// tasks of disks and VMs, not all of the simulator's.
func (s *Site) FaultTask(name string, f any, times int) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.tasks[name] = &injected{asFault(f), times}
}

// Delay makes the next calls of a SOAP method take longer.
func (s *Site) Delay(method string, d time.Duration, times int) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.delays[method] = &delayed{d, times}
}

// Slow makes every call take longer from now on, as a busy vCenter does.
func (s *Site) Slow(d time.Duration) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.slow = d
}

// Late is how many calls are being delayed, whether or not their clients still
// wait.
func (s *Site) Late() int {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return s.gate.late
}

// AllCalls is how often clients called each SOAP method, and how many of the calls that
// read properties began with an object of each type.
func (s *Site) AllCalls() (calls, reads map[string]int) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return maps.Clone(s.gate.calls), maps.Clone(s.gate.reads)
}

// Calls is how often clients called a SOAP method.
func (s *Site) Calls(method string) int {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return s.gate.calls[method]
}
