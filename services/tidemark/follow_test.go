package main

import (
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failoverrun"
)

// Who follows a new failover sees nothing of the run before it, which is all there is
// until the new one begins.
func TestANewFailoverShowsNothingOfTheOneBefore(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	ctx := t.Context()
	runs, err := bus.OpenBucket[failoverrun.Run](ctx, connectAs(t, d.url, "dr", subjects.Failover), "dr", subjects.BucketState, subjects.KeyFailover)
	if err != nil {
		t.Fatal(err)
	}
	put := func(id string, phase recovery.Phase) {
		t.Helper()
		r, _ := failoverrun.Begin(failoverrun.Request{Job: "web", ID: id, Mode: recovery.Test, To: recovery.ToNBD}, failoverrun.Pinned{}, nil, time.Now())
		r.Phase = phase
		if _, err := runs.Put(ctx, "web", r); err != nil {
			t.Error(err)
		}
	}
	put("old", recovery.Cleaned)
	c, err := client.Connect(ctx, client.Config{Site: "dr", Bus: client.SiteRef{URL: d.url, Peers: []cdp.Site{"prod"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	written := make(chan struct{})
	time.AfterFunc(time.Second, func() {
		defer close(written)
		put("new", recovery.Ready)
	})
	var shown []string
	last, err := c.FollowFailover(ctx, client.Asked{Job: "web", Run: "new"}, false, func(r failoverrun.Run) { shown = append(shown, r.ID) })
	<-written // it is shown before its writer has the answer
	if err != nil || last.ID != "new" || len(shown) == 0 {
		t.Fatal(last.ID, shown, err)
	}
	for _, id := range shown {
		if id != "new" {
			t.Errorf("the run %s was shown", id)
		}
	}
}
