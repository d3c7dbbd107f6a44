package planchaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/services/failover"
)

// world is two sites in memory. All of it is guarded by mu.
type world struct {
	mu   sync.Mutex
	rand *rand.Rand
	// calm: there are no faults any more.
	calm bool
	// answers: the source site is reached; down: its VMs are off, with the site.
	answers bool
	groups  map[string]*group
	runs    map[string]failoverrun.Run // of the failover service
	runRevs map[string]uint64
	plan    spec.Plan
	run     *plan.Run
	runRev  uint64
	kept    map[string]plan.Run
	checks  map[string]plan.Verification
	scripts map[string]int // by run and action, how often it ran
	effects map[string]int // by failover run and step
	kills   map[string]func()
	wrong   []string // what must never be
	faults  map[string]int
	later   sync.WaitGroup
	failing func() *life  // the failover service that lives; nil: none
	held    chan struct{} // the orchestrators' lease
}

// life is a failover service until it is killed, and with it the requests that it has.
type life struct {
	service *failover.Service
	ctx     context.Context
}

// group is a job: its VM at the source, its journal and replica at the target.
type group struct {
	running  bool // the job
	sourceOn bool
	wasOn    bool // before it was fenced
	fenced   bool
	turn     uint64
	planned  bool // the failover that goes on is

	halted, released bool
	replicaAt        string // transporter or vm
	replicaOn        bool
	tests            map[string]*testVM // by run
	exports          map[string]bool
}

// testVM is the VM of a test failover.
type testVM struct{ kept, built, filled, attached, on bool }

var jobNames = []string{"db", "app", "web"}

func newWorld(seed uint64) *world {
	w := &world{rand: rand.New(rand.NewPCG(seed, 7)), answers: true, groups: map[string]*group{}, runs: map[string]failoverrun.Run{}, runRevs: map[string]uint64{},
		kept: map[string]plan.Run{}, checks: map[string]plan.Verification{}, scripts: map[string]int{}, effects: map[string]int{}, kills: map[string]func(){},
		faults: map[string]int{}, held: make(chan struct{}, 1)}
	for _, name := range append([]string{"batch"}, jobNames...) {
		w.groups[name] = &group{running: true, sourceOn: true, replicaAt: "transporter", tests: map[string]*testVM{}, exports: map[string]bool{}}
	}
	return w
}

// oneIn is a fault that happens once in n times. Call it with mu held.
func (w *world) oneIn(n int, what string) bool {
	if w.calm || w.rand.IntN(n) != 0 {
		return false
	}
	w.faults[what]++
	return true
}

// bad notes what must never be. Call it with mu held.
func (w *world) bad(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// look checks what always holds. Call it with mu held, after each change.
func (w *world) look(why string) {
	for name, g := range w.groups {
		if g.replicaOn && g.sourceOn && g.planned {
			w.bad("%s: %s runs at both sites of a planned failover", why, name)
		}
	}
}

func lost(what string) error { return cdp.Errorf(cdp.Transient, what, "", "no answer") }

// call is a call of a service with an effect, which is made unless it is so already.
// The service may be killed on either side of it, and the call or its answer be lost.
func (w *world) call(ctx context.Context, service, what string, so func() bool, change func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return lost(what)
	case w.oneIn(25, "killed before its effect"):
		w.kills[service]()
		return lost(what)
	case w.oneIn(15, "request lost"):
		return lost(what)
	}
	for range 1 + w.oneOrNone("request doubled") {
		if !so() {
			w.effects[what]++
			change()
			w.look(what)
		}
	}
	switch {
	case w.oneIn(25, "killed after its effect"):
		w.kills[service]()
		return lost(what)
	case w.oneIn(15, "answer lost"):
		return lost(what)
	}
	return nil
}

func (w *world) oneOrNone(what string) int {
	if w.oneIn(10, what) {
		return 1
	}
	return 0
}

// again delivers a command to a service, and perhaps once more, now or later.
func (w *world) again(deliver func() error) error {
	w.mu.Lock()
	drop, twice, late := w.oneIn(12, "command lost"), w.oneIn(8, "command doubled"), w.oneIn(8, "command late")
	pause := time.Duration(1+w.rand.IntN(30)) * time.Millisecond
	w.mu.Unlock()
	if drop {
		return lost("send command")
	}
	err := deliver()
	if twice {
		err = deliver()
		if cdp.Is(err, cdp.Duplicate) {
			err = nil
		}
	}
	if late {
		w.later.Go(func() {
			time.Sleep(pause)
			_ = deliver() // nobody waits for it any more
		})
	}
	return err
}

// Emit takes events, which may be lost: nothing depends on them.
func (w *world) Emit(context.Context, event.Payload) error { return nil }

// Hold is the lease: one at a time.
func (w *world) Hold(ctx context.Context, fn func(context.Context) error) error {
	select {
	case w.held <- struct{}{}:
		defer func() { <-w.held }()
		return fn(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *world) last() plan.Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.run == nil {
		return plan.Run{}
	}
	return *w.run
}
