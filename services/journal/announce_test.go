package journal

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/wake"
)

// A lost announcement is made up for soon, and one frame in half a minute costs few.
func TestAnIdleGroupAnnouncesItsFrameAFewTimes(t *testing.T) {
	const beat = 500 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration // since the news
		news, began := wake.New(), time.Now()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- repeat(ctx, clock.System, beat, news, func() error { at = append(at, time.Since(began)); return nil })
		}()
		for range 3 { // the third has had two before it
			time.Sleep(30 * time.Second)
			synctest.Wait()
			at, began = nil, time.Now()
			news.Ring()
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if len(at) == 0 || at[0] != beat {
			t.Errorf("the first repetition is not a beat after the news: %v", at)
		}
		if len(at) > 3 {
			t.Errorf("one frame in 30 s is announced again %d times: %v", len(at), at)
		}
		for range 1000 { // a busy group
			time.Sleep(10 * time.Millisecond)
			news.Ring()
		}
		synctest.Wait()
		if n := len(at) - 3; n < 15 || n > 25 {
			t.Errorf("10 s of news are announced again %d times, not once a beat", n)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRepetitionEndsWithTheFirstError(t *testing.T) {
	full := cdp.Errorf(cdp.Full, "store", "g", "no room")
	if err := repeat(t.Context(), clock.System, time.Hour, wake.New(), func() error { return full }); err != full {
		t.Error(err)
	}
}
