package vcenter

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/inventory"
)

// slowInventory is a vCenter whose inventory takes 20 s to read.
type slowInventory struct {
	Inventories
	clock *clock.Simulated
	reads int
}

func (s *slowInventory) Inventory(context.Context) (inventory.Inventory, error) {
	s.reads++
	s.clock.Advance(20 * time.Second)
	return inventory.Inventory{}, nil
}

// A slow vCenter does not spend its time on its inventory: what is read again by itself is
// looked up in one that may be older the longer reading it takes.
func TestTheInventoryOfASlowVCenterIsReadSeldom(t *testing.T) {
	c := clock.NewSimulated(time.Unix(5000, 0))
	slow := &slowInventory{clock: c}
	cache := inventoryCache{clock: c, maxAge: 5 * time.Second, locks: &locks{},
		connect: func(context.Context) (Inventories, error) { return slow, nil },
		site:    func(context.Context) (Site, error) { return Site{Name: "a"}, nil }}
	look := func(by func(context.Context) (inventory.Inventory, error), want int) {
		t.Helper()
		if _, err := by(t.Context()); err != nil {
			t.Fatal(err)
		}
		if slow.reads != want {
			t.Fatalf("it was read %d times, %d expected", slow.reads, want)
		}
	}
	look(cache.recent, 1)
	for range 9 {
		cache.invalidate()
		look(cache.recent, 1)
		c.Advance(15 * time.Second)
	}
	look(cache.get, 2) // this one wants every change
	c.Advance(10 * time.Minute)
	look(cache.recent, 3)
}
