package vcenter

import (
	"context"
	"sync"

	"tidemark.dev/pkg/cdp"
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
	held map[cdp.GroupID]int // by passes that are not thawed
	line []*inLine           // oldest first
}

// inLine is a pass that waits.
type inLine struct {
	group cdp.GroupID
	disks int
	turn  chan struct{} // closed when it has its slots
}

// passSlotsOf is how many slots a transporter has for frozen disks, and how many of them
// are taken.
func passSlotsOf(t inventory.VM) (all, taken int) {
	all = vmpolicy.FreeSlots(vmpolicy.WithoutFrozen(t))
	return all, all - vmpolicy.FreeSlots(t)
}

// take gives a group its slots, at the transporter as it was just read. It reports whether
// that took a while. A pass that needs more slots than exist gets them once it is alone,
// and then fails at the vCenter.
func (p *passSlots) take(ctx context.Context, g cdp.GroupID, disks int, t inventory.VM, waits func()) (waited bool, err error) {
	p.mu.Lock()
	if p.all, p.seen = passSlotsOf(t); p.held == nil {
		p.held = map[cdp.GroupID]int{}
	}
	if _, has := p.held[g]; has || len(p.line) == 0 && p.fits(disks) {
		p.held[g] = disks
		p.mu.Unlock()
		return false, nil
	}
	w := &inLine{g, disks, make(chan struct{})}
	p.line = append(p.line, w)
	p.serve()
	p.mu.Unlock()
	waits()
	select {
	case <-w.turn:
		return true, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(g)
	return true, cdp.Errorf(cdp.Transient, "wait for free slots", t.Name, "other passes have the disk slots of the transporter: %w", ctx.Err())
}

// inTurn waits until the transporter has slots for a pass. It returns VM and transporter
// as they are then.
func (f *freezer) inTurn(ctx context.Context, vc VMReader, r api.FreezeRequest, v, t inventory.VM, tell progress) (vm, transporter inventory.VM, err error) {
	waited, err := f.slots.take(ctx, r.Group, len(r.Keys), t, func() { tell("waits for free disk slots at the transporter", 0, 0) })
	if err != nil || !waited {
		return v, t, err
	}
	v, t, gone, err := f.look(ctx, vc, r.VM)
	if err == nil && gone {
		err = cdp.Errorf(cdp.NotFound, "freeze", r.VM, "no VM has this instance UUID")
	}
	return v, t, err
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
	if n, has := p.held[g]; has {
		p.seen = max(0, p.seen-n)
	} else {
		p.seen = 0 // how many disks it had is not known: the next pass looks
	}
	delete(p.held, g)
	for i, w := range p.line {
		if w.group == g {
			p.line = append(p.line[:i:i], p.line[i+1:]...)
			break
		}
	}
	p.serve()
}

// serve gives slots to those in line, in turn. Call with mu held.
func (p *passSlots) serve() {
	for len(p.line) > 0 && p.fits(p.line[0].disks) {
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
