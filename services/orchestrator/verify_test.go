package orchestrator_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// checks is the last check of each plan.
type checks struct{ w *world }

func (c checks) Get(_ context.Context, name string) (plan.Verification, uint64, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	v, ok := c.w.checks[name]
	if !ok {
		return v, 0, cdp.Errorf(cdp.NotFound, "get", name, "none")
	}
	return v, c.w.checkRevs[name], nil
}

func (c checks) Put(_ context.Context, v plan.Verification, rev uint64) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if rev != c.w.checkRevs[v.Plan] {
		return cdp.Errorf(cdp.Conflict, "put", v.Plan, "revision %d is old", rev)
	}
	c.w.checks[v.Plan] = v
	c.w.checkRevs[v.Plan]++
	return nil
}

func (c checks) Forget(_ context.Context, name string) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	delete(c.w.checks, name)
	delete(c.w.checkRevs, name)
	return nil
}

// noVMs are the VMs of a site whose jobs are on disks.
type noVMs struct{}

func (noVMs) Member(_ context.Context, job string) (inventory.Member, error) {
	return inventory.Member{}, cdp.Errorf(cdp.NotFound, "get", job, "none")
}
func (noVMs) Obstacles(context.Context, spec.VMJob) ([]inventory.Problem, error) { return nil, nil }
func (noVMs) Here(context.Context) (inventory.Inventory, int, error) {
	return inventory.Inventory{}, -1, nil
}
func (noVMs) SetPower(_ context.Context, r api.SetPowerRequest) (inventory.Power, error) {
	return "", cdp.Errorf(cdp.NotFound, "find VM", r.VM, "there is none")
}

// until moves the simulated clock until a check of the plan shop is as wanted.
func (w *world) until(t *testing.T, what string, is func(plan.Verification) bool) plan.Verification {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		v, _, err := checks{w}.Get(t.Context(), "shop")
		if err == nil && is(v) {
			return v
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %+v %v", what, v, err)
		}
		w.now.Advance(time.Minute)
	}
}

// A plan is checked without anybody asking. A finding says since when it is known,
// although the plan is checked again and again; what has been mended is gone, and each
// new result is an event.
func TestAPlanIsCheckedAgainAndAgain(t *testing.T) {
	w := newWorld()
	w.verifies, w.now = true, clock.NewSimulated(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))
	w.plans["shop"] = parse(t, "- {name: db, failover: {job: db}}\n- {name: dns, script: {file: move-dns}}")
	s := w.service()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	good := w.until(t, "checked", func(v plan.Verification) bool { return true })
	if st := good.State(good.Hash, w.now.Now()); st != plan.Verified {
		t.Errorf("%s: %+v", st, good)
	}
	if st := good.State("another plan", w.now.Now()); st != plan.NeedsVerification {
		t.Error(st)
	}
	if st := good.State(good.Hash, good.CheckedAt.Add(plan.CheckHolds+time.Second)); st != plan.NeedsVerification {
		t.Error(st)
	}
	w.mu.Lock()
	w.scripts = nil
	w.mu.Unlock()
	bad := w.until(t, "found", func(v plan.Verification) bool { return v.Errors() == 1 })
	if bad.State(bad.Hash, bad.CheckedAt) != plan.NotFit || bad.Seen == good.Seen || !bad.Findings[0].Since.Equal(bad.CheckedAt) {
		t.Errorf("%+v", bad)
	}
	still := w.until(t, "checked again", func(v plan.Verification) bool { return v.CheckedAt.After(bad.CheckedAt) })
	if !still.Findings[0].Since.Equal(bad.CheckedAt) || !still.SeenSince.Equal(bad.CheckedAt) {
		t.Errorf("found at %s: %+v", bad.CheckedAt, still)
	}
	w.mu.Lock()
	w.scripts = []string{"move-dns"}
	w.mu.Unlock()
	w.until(t, "mended", func(v plan.Verification) bool { return v.Errors() == 0 })
	cancel()
	<-ended
	var told []string
	for _, e := range w.events {
		if e, is := e.(event.PlanChecked); is {
			told = append(told, e.State)
		}
	}
	if strings.Join(told, " ") != "verified failed verified" {
		t.Error(told)
	}
}
