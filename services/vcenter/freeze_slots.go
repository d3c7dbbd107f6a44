package vcenter

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// passSlots divides the transporter's slots for disks among passes. A pass that finds too
// few free waits in line before its snapshot is taken: a transporter has slots for 59 disks
// or 251, and the passes of hundreds of VMs are due at about the same time.
//
// It is lost with the process. Passes that went on meanwhile then count by the disks that
// the transporter has.
type passSlots struct {
	mu   sync.Mutex
	all  int                 // how many there are for passes, as of the newest look
	seen int                 // how many had frozen disks then
	gave int                 // how often slots were given back
	held map[cdp.GroupID]int // by passes that are not thawed
	line []*inLine           // oldest first
}

// inLine is a pass that waits.
type inLine struct {
	group cdp.GroupID
	disks int           // that it holds when it has its slots
	more  int           // slots that it needs for them
	turn  chan struct{} // closed when it has its slots
}

// passSlotsOf is how many slots a transporter has for frozen disks, and how many of them
// are taken.
func passSlotsOf(t inventory.VM) (all, taken int) {
	all = vmpolicy.FreeSlots(vmpolicy.WithoutFrozen(t))
	return all, all - vmpolicy.FreeSlots(t)
}

// slotLook is a look at the transporter. gave is as it was before.
type slotLook struct {
	t    inventory.VM
	gave int
}

// before is to be kept while the transporter is looked at.
func (p *passSlots) before() (gave int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gave
}

// saw updates what is known of the transporter. How many slots had disks is not taken from
// a look during which slots were given back: those who wait for them would wait for nobody.
// Call with mu held.
func (p *passSlots) saw(l slotLook) {
	all, seen := passSlotsOf(l.t)
	if p.all = all; l.gave == p.gave {
		p.seen = seen
	}
}

// slotAsk is what a pass asks for: slots for so many disks, of which own are attached
// already, by the same pass before a restart.
type slotAsk struct {
	group      cdp.GroupID
	disks, own int
	look       slotLook
}

// enter gives a pass its slots, or puts it in line: turn is closed when it has them; nil:
// it has them at once. A pass that needs more slots than exist gets them once it is alone,
// and then fails at the vCenter.
func (p *passSlots) enter(a slotAsk) (turn <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.saw(a.look); p.held == nil {
		p.held = map[cdp.GroupID]int{}
	}
	if _, has := p.held[a.group]; has || a.own >= a.disks || len(p.line) == 0 && p.fits(a.disks-a.own) {
		p.held[a.group] = a.disks
		return nil
	}
	w := &inLine{a.group, a.disks, a.disks - a.own, make(chan struct{})}
	p.line = append(p.line, w)
	p.serve()
	return w.turn
}

// looked is another look at the transporter, for those in line.
func (p *passSlots) looked(l slotLook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saw(l)
	p.serve()
}

// lookAgain is how often a pass in line looks at the transporter: slots may get free
// without a pass that gives them back.
const lookAgain = time.Minute

// inTurn waits until the transporter has slots for a pass. It returns VM and transporter
// as they are then.
func (f *freezer) inTurn(ctx context.Context, vc VMReader, r api.FreezeRequest, v inventory.VM, l slotLook, tell progress) (vm, t inventory.VM, err error) {
	turn := f.slots.enter(slotAsk{r.Group, len(r.Keys), frozenOf(v, l.t), l})
	if turn == nil {
		return v, l.t, nil
	}
	tell("waits for free disk slots at the transporter", 0, 0)
	for waits := true; waits; {
		select {
		case <-turn:
			waits = false
		case <-ctx.Done():
			f.slots.give(r.Group)
			return v, l.t, cdp.Errorf(cdp.Transient, "wait for free slots", l.t.Name, "other passes have the disk slots of the transporter: %w", ctx.Err())
		case <-clock.After(f.clock, lookAgain):
			gave := f.slots.before()
			if t, err := f.hotadd.machine(ctx, vc); err == nil { // else the next look does
				f.slots.looked(slotLook{t, gave})
			}
		}
	}
	v, t, gone, err := f.look(ctx, vc, r.VM)
	if err == nil && gone {
		err = cdp.Errorf(cdp.NotFound, "freeze", r.VM, "no VM has this instance UUID")
	}
	return v, t, err
}

// frozenOf is how many frozen disks of a VM the transporter has.
func frozenOf(v, t inventory.VM) (n int) {
	for _, d := range t.Hardware.Disks {
		if d.Mode == frozenMode && slices.ContainsFunc(v.Hardware.Disks, func(x inventory.Disk) bool { return x.UUID == d.UUID }) {
			n++
		}
	}
	return n
}

// waiting reports whether a group waits in line.
func (p *passSlots) waiting(g cdp.GroupID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.line {
		if w.group == g {
			return true
		}
	}
	return false
}

// give takes back a group's slots, once none of its disks is attached.
func (p *passSlots) give(g cdp.GroupID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(g)
}

// drop removes a group, in line or not. Call with mu held.
func (p *passSlots) drop(g cdp.GroupID) {
	p.gave++
	if i := slices.IndexFunc(p.line, func(w *inLine) bool { return w.group == g }); i >= 0 {
		p.line = slices.Delete(p.line, i, i+1)
	} else if n, has := p.held[g]; has {
		p.seen = max(0, p.seen-n)
	} else {
		p.seen = 0 // how many disks it had is not known: the next pass looks
	}
	delete(p.held, g)
	p.serve()
}

// serve gives slots to those in line, in turn. Call with mu held.
func (p *passSlots) serve() {
	for len(p.line) > 0 && p.fits(p.line[0].more) {
		w := p.line[0]
		p.line = p.line[1:]
		p.held[w.group] = w.disks
		close(w.turn)
	}
}

// fits reports whether so many disks find slots. Call with mu held.
func (p *passSlots) fits(disks int) bool {
	taken := 0
	for _, n := range p.held {
		taken += n
	}
	taken = max(taken, p.seen)
	return taken == 0 || taken+disks <= p.all
}
