package main

import (
	"context"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

// What is wrong with a bus is named, with the exit code, and can be mended; what is as
// declared is left alone.
func TestTheBusIsCheckedAndMended(t *testing.T) {
	d := newDesk(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	setUp := connectAs(t, d.url, "dr", subjects.Setup)
	wg.Go(func() { _ = bus.KeepSite(ctx, setUp, "prod") })
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // set-up may be starting
		if run(ctx, []string{"bus", "apply", "--nats", d.url}, nil, io.Discard, io.Discard) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("set-up does not answer")
		}
	}
	wants(t, first(d.do(0, "bus", "apply")), "everything is as declared")
	spoil(t, d.url)

	problems := func() map[string]api.BusPart {
		t.Helper()
		out, _ := d.do(1, "bus", "check", "-o", "json") // prod is not there: its copies are silent
		found := map[string]api.BusPart{}
		for _, p := range decode[[]api.BusPart](t, out) {
			if len(p.Problems) > 0 {
				found[p.What+" "+p.Name] = p
			}
		}
		return found
	}
	got := problems()
	for what, says := range map[string]string{
		"stream EVT": `max_age is 3600000000000, and should be 604800000000000`, "consumer CMD/journal": "missing",
		"consumer CMD/failover": "max_ack_pending is 7, and should be 64", "stream DLQ": "missing", "copy EVT_prod": "its origin is silent",
	} {
		if p := got[what]; len(p.Problems) == 0 || p.Problems[0] != says || p.Hint == "" {
			t.Errorf("%s: %+v", what, p)
		}
	}
	_, errs := d.do(1, "bus", "check")
	wants(t, errs, "stream DLQ: missing", "tidemark bus apply")

	out, _ := d.do(0, "bus", "apply", "--dry-run")
	wants(t, out, "CMD/journal", "DLQ", "missing")
	if again, _ := d.do(0, "bus", "apply"); again != out {
		t.Errorf("a dry run changed something:\n%s\n%s", out, again)
	}
	wants(t, first(d.do(0, "bus", "apply")), "everything is as declared")
	got = problems()
	maps.DeleteFunc(got, func(what string, _ api.BusPart) bool { return strings.HasPrefix(what, "copy ") })
	if len(got) > 0 {
		t.Errorf("still wrong: %+v", got)
	}
	if _, err := d.conn.Command(ctx, "dr", event.JobRun{Job: "nope"}); err != nil {
		t.Error("the mended bus takes no commands:", err)
	}
	wants(t, first(d.do(0, "audit")), "setup.bus-apply")
	for _, other := range [][]string{{"nosuch"}, {"--since", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}} {
		if out := first(d.do(0, append([]string{"audit"}, other...)...)); strings.Contains(out, "setup.bus-apply") {
			t.Errorf("audit %v: %s", other, out)
		}
	}
}

// spoil has somebody change a bus by hand.
func spoil(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	events, err := js.Stream(ctx, subjects.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	cfg := events.CachedInfo().Config
	cfg.MaxAge = time.Hour
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	failover, err := js.Consumer(ctx, subjects.StreamCommands, subjects.Failover)
	if err != nil {
		t.Fatal(err)
	}
	handler := failover.CachedInfo().Config
	handler.MaxAckPending = 7
	if _, err := js.UpdateConsumer(ctx, subjects.StreamCommands, handler); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteConsumer(ctx, subjects.StreamCommands, subjects.Journal); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(ctx, subjects.StreamDeadLetters); err != nil {
		t.Fatal(err)
	}
}
