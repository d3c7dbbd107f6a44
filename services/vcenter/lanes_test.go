package vcenter

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/clock"
)

// Work that outlives its request is in the trace of the first request for it, also if that
// one found the lane busy and only a later one could begin it. It ends with the service
// and not with the request.
func TestWorkIsInTheTraceOfTheFirstRequestForIt(t *testing.T) {
	type key struct{}
	base, end := context.WithCancel(t.Context())
	l := newLanes(base, clock.System, time.Millisecond, time.Minute)
	ended := make(chan error)
	ask := func(trace, id string, until <-chan struct{}) (string, bool) {
		ctx, answered := context.WithCancel(context.WithValue(t.Context(), key{}, trace))
		defer answered()
		was, p, err := inLane(ctx, l, "web", id, func(ctx context.Context, _ progress) (string, error) {
			select {
			case <-until:
			case <-ctx.Done():
				ended <- ctx.Err()
			}
			was, _ := ctx.Value(key{}).(string)
			return was, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return was, p.Done
	}
	wait := func(id string, until <-chan struct{}) string {
		for {
			if was, done := ask("a poll", id, until); done {
				return was
			}
		}
	}
	free := make(chan struct{})
	if _, done := ask("first", "attach", free); done {
		t.Fatal("it did not wait")
	}
	if _, done := ask("second", "boot", free); done { // the lane is busy
		t.Fatal("two works at a time")
	}
	ask("a poll", "boot", free)
	close(free)
	if was := wait("attach", free); was != "first" {
		t.Errorf("the work is in the trace of %q", was)
	}
	if was := wait("boot", free); was != "second" {
		t.Errorf("the work that waited is in the trace of %q", was)
	}
	ask("third", "check", nil)
	end()
	if err := <-ended; err == nil {
		t.Error("the work outlives the service")
	}
	l.wg.Wait()
	if len(l.waits) > 0 {
		t.Errorf("%v", l.waits)
	}
}
