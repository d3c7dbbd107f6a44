package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// tooFar is from which offset on a clock is pointed out.
const tooFar = time.Second

func (a *app) cmdClock() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "clock", Short: "Show how far the clocks of hosts and services are off", Args: cobra.NoArgs,
		Long: long(`Measure the clocks of all hosts and of both sites' services (those of the transporter
they run on, not of others that were deployed), against the clock of the target's
services, by which recovery points are dated. An offset is an interval: the clock is
ahead by at least the first and at most the second. Recovery points are right
whatever the clocks say; their times are corrected, and carry the error. What is
beyond 1 s, has no NTP server, or could not be measured, is marked. A site that does
not answer is named.`),
		Example: "  tidemark clock\n  tidemark clock -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *session) error {
				all, silent, err := cl.clocks(ctx)
				if err != nil {
					return err
				}
				if out != "table" {
					return out.print(a.out, all, nil, nil)
				}
				return a.showClocks(cl, all, silent)
			})
		},
	}
	out.register(c)
	return c
}

// reading is one clock. Min and Max are how far it is ahead of the target's
// services; without Known they are not known, or against its own site's
// services where OfSite is set.
type reading struct {
	Site   cdp.Site      `json:"site"`
	Kind   string        `json:"kind"` // services, host
	Name   string        `json:"name"`
	Known  bool          `json:"known"`
	OfSite bool          `json:"againstOwnSite,omitempty"`
	Min    time.Duration `json:"minNanos"`
	Max    time.Duration `json:"maxNanos"`
	NTP    []string      `json:"ntp,omitempty"`
	Notes  []string      `json:"notes,omitempty"`
	Error  string        `json:"error,omitempty"`
}

// span is what an offset lies in: at least Lo and at most Hi.
type span struct{ Lo, Hi time.Duration }

// plus is a's offset against c, of a's against b and b's against c.
func (s span) plus(o span) span { return span{s.Lo + o.Lo, s.Hi + o.Hi} }

// minus is the offset seen from the other side.
func (s span) minus() span { return span{-s.Hi, -s.Lo} }

func (s span) width() time.Duration { return s.Hi - s.Lo }

// meet is what both say. Where they contradict each other a clock was set in
// between, and the newer one stands.
func (s span) meet(newer span) span {
	m := span{max(s.Lo, newer.Lo), min(s.Hi, newer.Hi)}
	if m.Lo > m.Hi {
		return newer
	}
	return m
}

// String is for people: +1.20 ms … +3.40 ms ahead.
func (s span) String() string {
	unit, name, digits := time.Millisecond, "ms", 2
	if max(s.Lo.Abs(), s.Hi.Abs()) >= time.Second {
		unit, name, digits = time.Second, "s", 3
	}
	text := func(d time.Duration) string { return fmt.Sprintf("%+.*f %s", digits, float64(d)/float64(unit), name) }
	way := ""
	switch {
	case s.Lo > 0:
		way = " ahead"
	case s.Hi < 0:
		way = " behind"
	}
	return text(s.Lo) + " … " + text(s.Hi) + way
}

// clocks measures all clocks; silent are the sites' parts that are missing.
func (c *session) clocks(ctx context.Context) (all []reading, silent []string, err error) {
	type answer struct {
		reply   api.ClocksReply
		offset  span // of the services against this command's clock
		err     error
		service bool
	}
	ask := func(site cdp.Site) (x answer) {
		sent := time.Now()
		x.reply, x.err = askVCenter[api.ClocksReply](ctx, c, site, api.VCenterClocks, api.Empty{})
		if x.err == nil {
			x.offset, x.service = span{time.Until(x.reply.At), x.reply.At.Sub(sent)}, true
		}
		return x
	}
	names, err := c.serviceNames(ctx)
	if err != nil {
		return nil, nil, err
	}
	target := ask(c.site)
	if target.err != nil {
		silent = append(silent, silence(c.site, target.err))
	}
	all = append(all, judgeClock(reading{Site: c.site, Kind: "services", Name: names[c.site], Known: true}))
	for _, h := range target.reply.Hosts {
		all = append(all, hostClock(c.site, h.Name, span{h.Min, h.Max}, &span{}, h.NTP, h.Error))
	}
	peer := ask(c.peer)
	if peer.err != nil {
		silent = append(silent, silence(c.peer, peer.err))
	}
	if s, err := c.captureClock(ctx); err == nil {
		if peer.service {
			s = peer.offset.meet(s)
		}
		peer.offset, peer.service = s, true
	}
	var between *span // the peer's services against the target's
	if s, ok := c.journalClock(ctx); ok {
		between = &s
	}
	if peer.service && target.service {
		if s := peer.offset.plus(target.offset.minus()); between == nil || s.width() < between.width() {
			between = &s
		}
	}
	row := reading{Site: c.peer, Kind: "services", Name: names[c.peer]}
	if between != nil {
		row.Known, row.Min, row.Max = true, between.Lo, between.Hi
		if !peer.service {
			row.Notes = append(row.Notes, "as the journal measured it last")
		}
	} else {
		row.Error = "its services do not answer"
		if peer.service {
			row.Error = "the services of " + string(c.site) + " do not answer"
		}
	}
	all = append(all, judgeClock(row))
	for _, h := range peer.reply.Hosts {
		all = append(all, hostClock(c.peer, h.Name, span{h.Min, h.Max}, between, h.NTP, h.Error))
	}
	return all, silent, nil
}

// hostClock is a host's clock, measured against its site's services, which are
// off by services; nil: not known.
func hostClock(site cdp.Site, name string, own span, services *span, ntp []string, trouble string) reading {
	r := reading{Site: site, Kind: "host", Name: name, NTP: ntp, Error: trouble}
	if trouble == "" {
		r.Known, r.OfSite = services != nil, services == nil
		if services != nil {
			own = own.plus(*services)
		}
		r.Min, r.Max = own.Lo, own.Hi
	}
	return judgeClock(r)
}

// judgeClock points out what is wrong with a clock.
func judgeClock(r reading) reading {
	if r.Error == "" {
		switch {
		case r.Min > tooFar || r.Max < -tooFar:
			r.Notes = append(r.Notes, "off by more than 1 s")
		case r.Max > tooFar || r.Min < -tooFar:
			r.Notes = append(r.Notes, "may be off by more than 1 s")
		}
	}
	if r.Kind == "host" && len(r.NTP) == 0 && r.Error == "" {
		r.Notes = append(r.Notes, "no NTP server")
	}
	return r
}

// serviceNames are the transporters that the sites' services run on, as far as
// they are described.
func (c *session) serviceNames(ctx context.Context) (map[cdp.Site]string, error) {
	out := map[cdp.Site]string{c.site: "services", c.peer: "services"}
	b, err := c.sites(ctx)
	if err != nil {
		return nil, err
	}
	err = collect(ctx, b, "", func(s spec.Site) {
		if s.VSphere != nil && s.VSphere.Transporter != "" {
			out[s.Name] = "services on " + s.VSphere.Transporter
		}
	})
	return out, err
}

// captureClock measures the clock of the peer's services against this command's,
// as NTP does: an answer says when the question came and when it left itself.
func (c *session) captureClock(ctx context.Context) (span, error) {
	const samples = 5
	var best span
	for i := range samples {
		one, cancel := context.WithTimeout(ctx, time.Second)
		sent := time.Now()
		var r api.ClockReply
		err := c.conn.Request(one, c.peer, subjects.Capture, api.CaptureClock, api.ClockRequest{Sent: sent.UnixNano()}, &r)
		received := time.Now()
		cancel()
		if err != nil {
			return best, err
		}
		s := span{time.Duration(r.Sent - received.UnixNano()), time.Duration(r.Received - sent.UnixNano())}
		if i == 0 {
			best = s
		} else {
			best = best.meet(s)
		}
	}
	return best, nil
}

// journalClock is the offset of the peer's services against the target's as the
// journal measured it, over all groups; not ok if it measured none.
func (c *session) journalClock(ctx context.Context) (out span, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := c.journal().All(ctx)
	if err != nil {
		return out, false
	}
	jobs, err := c.objects(ctx, spec.KindJob, "")
	if err != nil {
		return out, false
	}
	from := map[cdp.GroupID]cdp.Site{}
	for _, o := range jobs {
		from[o.Job.Group()] = o.Job.Source.Site
	}
	for _, g := range r.Groups {
		if g.ClockBound == 0 || from[g.Group] != c.peer {
			continue
		}
		// The journal tells target minus source.
		s := span{-g.ClockOffset - g.ClockBound, -g.ClockOffset + g.ClockBound}
		if !ok || s.width() < out.width() {
			out, ok = s, true
		}
	}
	return out, ok
}

func (a *app) showClocks(c *session, all []reading, silent []string) error {
	fmt.Fprintf(a.out, "against the clock of the services at site %s\n\n", c.site)
	red := func(s string) string { return s }
	if isTerminal(a.out) {
		red = func(s string) string { return "\x1b[1;31m" + s + "\x1b[0m" }
	}
	err := format("table").print(a.out, nil, []string{"", "site", "clock", "offset", "ntp", "note"}, func(add func(...any)) {
		for _, r := range all {
			offset := span{r.Min, r.Max}.String()
			switch {
			case r.Error != "":
				offset = "not measured: " + r.Error
			case r.Kind == "services" && r.Site == c.site:
				offset = "0, by definition"
			case r.OfSite:
				offset += " of its site's services"
			}
			mark, notes := "", strings.Join(r.Notes, "; ")
			if notes != "" && !strings.HasPrefix(notes, "as the journal") || r.Error != "" {
				mark, notes = red("!"), red(notes)
			}
			add(mark, r.Site, r.Name, offset, strings.Join(r.NTP, " "), notes)
		}
	})
	for _, s := range silent {
		fmt.Fprintf(a.out, "\n%s\n", s)
	}
	return err
}
