package vcenter

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// transporterWith has one pvscsi controller with 15 slots and no room for another, and
// these disks of passes.
func transporterWith(frozen int) inventory.VM {
	v := inventory.VM{}
	v.Name = "transporter"
	v.Hardware.Version = "vmx-13"
	for i := range int32(4) {
		kind := "lsilogic"
		if i == 0 {
			kind = "pvscsi"
		}
		v.Hardware.Controllers = append(v.Hardware.Controllers, inventory.Controller{Kind: kind, Bus: i, Key: 1000 + i})
	}
	for range frozen {
		v.Hardware.Disks = append(v.Hardware.Disks, inventory.Disk{Controller: 1000, Mode: frozenMode})
	}
	return v
}

// asks is a pass that asks for slots at a transporter with so many frozen disks.
func asks(p *passSlots, g cdp.GroupID, disks, frozen int) <-chan struct{} {
	return p.enter(slotAsk{group: g, disks: disks, look: slotLook{transporterWith(frozen), p.before()}})
}

// queued asks for slots for a pass that has to wait for them.
func queued(t *testing.T, p *passSlots, g cdp.GroupID, disks, frozen int) <-chan struct{} {
	t.Helper()
	turn := asks(p, g, disks, frozen)
	if turn == nil || !p.waiting(g) {
		t.Fatalf("%s does not wait for slots that there are not", g)
	}
	return turn
}

// Passes for whose disks the transporter has no slots wait in line until others have
// ended, and can be given up.
func TestPassesWaitForSlotsInTurn(t *testing.T) {
	p := &passSlots{}
	at := func(g cdp.GroupID, disks, frozen int) {
		t.Helper()
		if asks(p, g, disks, frozen) != nil {
			t.Fatalf("%s waits", g)
		}
	}
	at("a", 8, 0)
	at("b", 7, 8)
	at("a", 8, 15) // the same pass again
	wide := queued(t, p, "wide", 15, 15)
	narrow := queued(t, p, "narrow", 1, 15) // it does not overtake
	queued(t, p, "gone", 1, 15)
	p.give("gone") // given up
	if p.waiting("gone") {
		t.Error("a pass that was given up is in line")
	}
	p.give("a")
	if !p.waiting("wide") || !p.waiting("narrow") {
		t.Error("seven disks are attached, and one with fifteen went on")
	}
	p.give("b")
	<-wide
	if !p.waiting("narrow") {
		t.Error("the second in line went on with the first")
	}
	p.give("wide")
	<-narrow
	p.give("narrow")
	at("huge", 40, 0) // it fails by itself, with what is wrong
	p.give("huge")
}

// After a restart the passes that went on count by the disks that are attached, until it
// is known that one has ended. A pass does not wait for its own disks.
func TestPassesFromBeforeARestartCount(t *testing.T) {
	p := &passSlots{}
	turn := queued(t, p, "new", 2, 14)
	p.give("old")
	<-turn
	p = &passSlots{}
	if p.enter(slotAsk{group: "old", disks: 14, own: 14, look: slotLook{transporterWith(14), p.before()}}) != nil {
		t.Error("a pass waits for its own disks")
	}
	p = &passSlots{}
	if p.enter(slotAsk{group: "half", disks: 8, own: 7, look: slotLook{transporterWith(14), p.before()}}) != nil {
		t.Error("a pass with a part of its disks waits for those")
	}
}

// A look at the transporter may take seconds. Disks that were detached meanwhile are no
// reason to wait: there would be nobody left to wait for.
func TestALookFromBeforeSlotsWereGivenBackIsOld(t *testing.T) {
	p := &passSlots{}
	asks(p, "a", 15, 0)
	look := slotLook{transporterWith(15), p.before()}
	p.give("a")
	if p.enter(slotAsk{group: "b", disks: 15, look: look}) != nil {
		t.Error("a pass waits for one that has ended")
	}
	p.give("b")
	// Without anybody who gives slots back, another look finds that they are free.
	turn := queued(t, p, "c", 15, 15)
	p.looked(slotLook{transporterWith(0), p.before()})
	<-turn
}
