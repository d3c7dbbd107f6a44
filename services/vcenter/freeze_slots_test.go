package vcenter

import (
	"context"
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

// queued takes slots for a pass that has to wait, and returns how that ends once it waits.
func queued(t *testing.T, ctx context.Context, p *passSlots, g cdp.GroupID, disks int) <-chan error {
	t.Helper()
	waits, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		waited, err := p.take(ctx, g, disks, transporterWith(0), func() { close(waits) })
		if !waited {
			t.Errorf("%s found slots that there are not", g)
		}
		ended <- err
	}()
	<-waits
	if !p.waiting(g) {
		t.Errorf("%s does not wait", g)
	}
	return ended
}

// Passes for whose disks the transporter has no slots wait in line until others have
// ended, and can be given up.
func TestPassesWaitForSlotsInTurn(t *testing.T) {
	ctx := t.Context()
	p := &passSlots{}
	at := func(g cdp.GroupID, disks, frozen int) {
		t.Helper()
		if waited, err := p.take(ctx, g, disks, transporterWith(frozen), func() { t.Errorf("%s waits", g) }); waited || err != nil {
			t.Fatalf("%s: %v, %v", g, waited, err)
		}
	}
	at("a", 8, 0)
	at("b", 7, 8)
	at("a", 8, 15) // the same pass again
	wide := queued(t, ctx, p, "wide", 15)
	narrow := queued(t, ctx, p, "narrow", 1) // it does not overtake
	gctx, giveUp := context.WithCancel(ctx)
	gone := queued(t, gctx, p, "gone", 1)
	giveUp()
	if err := <-gone; !cdp.Is(err, cdp.Transient) || p.waiting("gone") {
		t.Errorf("given up: %v", err)
	}
	p.give("a")
	if !p.waiting("wide") || !p.waiting("narrow") {
		t.Error("seven disks are attached, and one with fifteen went on")
	}
	p.give("b")
	if err := <-wide; err != nil || !p.waiting("narrow") {
		t.Errorf("the first in line: %v", err)
	}
	p.give("wide")
	if err := <-narrow; err != nil {
		t.Error(err)
	}
	p.give("narrow")
	at("huge", 40, 0) // it fails by itself, with what is wrong
	p.give("huge")
}

// After a restart the passes that went on count by the disks that are attached, until it
// is known that one has ended.
func TestPassesFromBeforeARestartCount(t *testing.T) {
	p := &passSlots{}
	waits, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := p.take(t.Context(), "new", 2, transporterWith(14), func() { close(waits) })
		ended <- err
	}()
	<-waits
	p.give("old")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
