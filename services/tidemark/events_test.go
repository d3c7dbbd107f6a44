package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
)

// Stored events are shown in the order of their times, in whatever order they came, and
// those from before --since are not.
func TestEventsAreInTheOrderOfTheirTimes(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	nc, err := net.Dial("tcp", strings.TrimPrefix(d.url, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprint(nc, "CONNECT {\"verbose\":false}\r\n") // as nats pub does
	now := time.Now().UTC()
	happens := func(i int, age time.Duration) {
		doc := fmt.Sprintf(`{"specversion":"1.0","id":"e%d","source":"test","type":"tidemark.evt.v1.job.started","subject":"web","time":%q,"data":{"job":"web","reason":"because %s"}}`,
			i, now.Add(-age).Format(time.RFC3339Nano), age)
		fmt.Fprintf(nc, "PUB tidemark.evt.v1.dr.job.started.web %d\r\n%s\r\n", len(doc), doc)
	}
	for i, age := range []time.Duration{time.Minute, 3 * time.Minute, 2 * time.Hour, 2 * time.Minute} {
		happens(i, age)
	}
	reasons := func(args ...string) string {
		out, _ := d.do(0, append([]string{"events", "job.started"}, args...)...)
		return strings.Join(regexp.MustCompile(`because \S+`).FindAllString(out, -1), ", ")
	}
	for end := time.Now().Add(time.Minute); strings.Count(reasons(), "because") < 3 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond) // until they are stored
	}
	if got := reasons(); got != "because 3m0s, because 2m0s, because 1m0s" {
		t.Error(got)
	}
	if got := reasons("--since", now.Add(-150*time.Second).Format(time.RFC3339)); got != "because 2m0s, because 1m0s" {
		t.Error(got)
	}
	if got := reasons("--since", "3h", "-o", "json"); !strings.HasPrefix(got, "because 2h0m0s") {
		t.Error(got)
	}
	// A machine that is so slow that every pause is over before the first event came.
	cl, err := client.Connect(t.Context(), client.Config{Site: "dr", Bus: client.SiteRef{URL: d.url}, Clock: hasty{clock.System}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	n := 0
	err = cl.Events(t.Context(), client.EventFilter{Area: "job", Fact: "started"}, time.Time{}, false, func(client.SeenEvent) error { n++; return nil })
	if err != nil || n != 4 {
		t.Errorf("%d events: %v", n, err)
	}
	// Who follows them sees those that are stored, and then what happens.
	ctx, stop := context.WithCancel(t.Context())
	seen, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"events", "job.started", "--follow", "--nats", d.url}, nil, out, io.Discard)
		out.Close()
	}()
	lines := bufio.NewScanner(seen)
	for _, age := range []string{"3m0s", "2m0s", "1m0s", "0s"} {
		if age == "0s" {
			happens(9, 0)
		}
		if !lines.Scan() || !strings.Contains(lines.Text(), "because "+age) {
			t.Fatalf("%q, where the event of %s should be", lines.Text(), age)
		}
	}
	stop()
	if code := <-ended; code != 0 || lines.Scan() {
		t.Errorf("it ended with %d and said %q", code, lines.Text())
	}
}

// hasty is a clock whose timers are due at once.
type hasty struct{ clock.Clock }

func (h hasty) NewTimer(time.Duration) clock.Timer { return h.Clock.NewTimer(0) }

// A pattern that no event can match is refused, with those that some can.
func TestAPatternThatMatchesNothingIsRefused(t *testing.T) {
	for pattern, want := range map[string]string{"failovers": "failover, job", "failover.begun": "finished", "fail*": "no area", "rpo.started": "breached", "*.*.we*": "whole name"} {
		_, errs := do(t, exitUsage, "", "events", pattern, "--dir", t.TempDir())
		wants(t, errs, want)
	}
	for _, pattern := range []string{"failover", "*.breached", "*.*.web", "job.started.web", "*"} {
		if _, err := eventFilter([]string{pattern}); err != nil {
			t.Error(err)
		}
	}
}

// The help of events names every area that there is.
func TestEventsHelpNamesTheAreas(t *testing.T) {
	out, _ := do(t, 0, "", "events", "--help")
	_, areas, _ := strings.Cut(out, "Areas: ")
	areas, _, _ = strings.Cut(areas, ".")
	for _, p := range event.Catalog() {
		if rest, ok := strings.CutPrefix(p.EventType(), "tidemark.evt.v1."); ok {
			if area, _, _ := strings.Cut(rest, "."); !strings.Contains(", "+areas+",", ", "+area+",") {
				t.Errorf("%s is not among %q", area, areas)
			}
		}
	}
}
