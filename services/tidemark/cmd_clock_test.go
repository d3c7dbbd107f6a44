package main

import (
	"testing"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

func TestClock(t *testing.T) {
	d := newDesk(t)
	d.apply(0, twoSites)
	ms := time.Millisecond
	clocks := func(ahead time.Duration, hosts ...inventory.Clock) func([]byte) (any, error) {
		return func([]byte) (any, error) { return api.ClocksReply{At: time.Now().Add(ahead), Hosts: hosts}, nil }
	}
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.VCenterClocks: clocks(0,
		inventory.Clock{Name: "esx11", Min: -ms, Max: 2 * ms, NTP: []string{"pool.ntp.org"}}, inventory.Clock{Name: "esx12", Error: "the host does not respond"})})
	out, _ := d.do(0, "clock") // the source is dead
	wants(t, out, "services on tm-dr", "0, by definition", "-1.00 ms … +2.00 ms", "pool.ntp.org", "not measured: the host does not respond", "services on tm-prod", "not measured: its services", "site prod:", "nobody answers")

	// Its clock is 3 s behind, and esx1's 2 s ahead of that.
	d.serve("prod", subjects.VCenter, map[string]func([]byte) (any, error){api.VCenterClocks: clocks(-3*time.Second, inventory.Clock{Name: "esx1", Min: 2 * time.Second, Max: 2*time.Second + ms})})
	began := time.Now()
	all := decode[[]client.Clock](t, outOf(d.do(0, "clock", "-o", "json")))
	took := time.Since(began)
	if len(all) != 5 {
		t.Fatalf("%+v", all)
	}
	services, host := all[3], all[4]
	if !services.Known || services.Min > -3*time.Second || services.Max < -3*time.Second || services.Max-services.Min > took {
		t.Errorf("%+v", services)
	}
	if host.Min != services.Min+2*time.Second || host.Max != services.Max+2*time.Second+ms {
		t.Errorf("%+v", host)
	}
	out, _ = d.do(0, "clock")
	wants(t, out, "behind", "off by more than 1 s", "no NTP server")

	// With a clock that reports when it was asked the interval is a round trip.
	d.serve("prod", subjects.Capture, map[string]func([]byte) (any, error){api.CaptureClock: func([]byte) (any, error) {
		now := time.Now().Add(-3 * time.Second).UnixNano()
		return api.ClockReply{Received: now, Sent: now}, nil
	}})
	again := decode[[]client.Clock](t, outOf(d.do(0, "clock", "-o", "json")))[3]
	if again.Min > -3*time.Second || again.Max < -3*time.Second {
		t.Errorf("%+v", again)
	}
	// The journal's own measurement is taken where it is the best there is.
	d.apply(0, goodJob("/a", "/b"))
	d.serve("dr", subjects.Journal, map[string]func([]byte) (any, error){api.JournalStatus: says(api.StatusReply{Groups: []api.GroupStatus{{Group: "web", ClockOffset: 3 * time.Second, ClockBound: 1}}})})
	again = decode[[]client.Clock](t, outOf(d.do(0, "clock", "-o", "json")))[3]
	if again.Min != -3*time.Second-1 || again.Max != -3*time.Second+1 {
		t.Errorf("%+v", again)
	}
}

func TestOffsetText(t *testing.T) {
	ms := time.Millisecond
	for want, o := range map[string]client.Offset{
		"+1.00 ms … +3.00 ms ahead":       {Min: 1 * ms, Max: 3 * ms},
		"-3.00 ms … -1.00 ms behind":      {Min: -3 * ms, Max: -1 * ms},
		"-2.00 ms … +5.00 ms":             {Min: -2 * ms, Max: 5 * ms},
		"-1.500 s … +0.002 s":             {Min: -1500 * ms, Max: 2 * ms},
		"+7200.000 s … +7200.001 s ahead": {Min: 2 * time.Hour, Max: 2*time.Hour + ms},
	} {
		if got := offsetText(o); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
