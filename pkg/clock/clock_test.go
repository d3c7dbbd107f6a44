package clock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tidemark.dev/pkg/clock"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestTimersFireInTheOrderOfTheirTimes(t *testing.T) {
	c := clock.NewSimulated(start)
	late, early := c.NewTimer(3*time.Second), c.NewTimer(time.Second)
	c.Advance(2 * time.Second)
	if at := <-early.C(); !at.Equal(start.Add(time.Second)) {
		t.Errorf("the early one fired at %v", at)
	}
	select {
	case at := <-late.C():
		t.Errorf("the late one fired at %v", at)
	default:
	}
	if !late.Stop() || late.Stop() || c.Timers() != 0 {
		t.Error("Stop ends a timer once")
	}
}

func TestAStepOfTheTimeOfDayFiresNothing(t *testing.T) {
	c := clock.NewSimulated(start)
	x := c.NewTimer(time.Second)
	c.Step(-time.Hour)
	c.Step(2 * time.Hour)
	select {
	case <-x.C():
		t.Fatal("a step fired a timer")
	default:
	}
	c.Advance(time.Second)
	<-x.C()
	if !c.Now().Equal(start.Add(time.Hour + time.Second)) {
		t.Errorf("it is %v", c.Now())
	}
	if c.Elapsed() != time.Second {
		t.Errorf("%v have passed", c.Elapsed())
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	c := clock.NewSimulated(start)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- clock.Sleep(ctx, c, time.Hour) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Sleep: %v", err)
	}
	go func() { done <- clock.Sleep(t.Context(), c, time.Hour) }()
	for c.Timers() == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Advance(time.Hour)
	if err := <-done; err != nil {
		t.Errorf("Sleep: %v", err)
	}
}

func TestBackoffDoublesUpToItsMost(t *testing.T) {
	b := clock.Backoff{Min: time.Second, Max: 5 * time.Second}
	for i, want := range []time.Duration{1, 2, 4, 5, 5} {
		if got := b.Next(); got != want*time.Second {
			t.Errorf("pause %d: %v, want %v", i, got, want*time.Second)
		}
	}
	b.Reset()
	if got := b.Next(); got != time.Second {
		t.Errorf("after Reset: %v", got)
	}
}
