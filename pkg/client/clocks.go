package client

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// Offset is an interval: a clock is ahead of another one by at least Min and at
// most Max; negative is behind.
type Offset struct {
	Min time.Duration `json:"minNanos"`
	Max time.Duration `json:"maxNanos"`
}

// plus gives a's offset against c, of a's against b and b's against c.
func (o Offset) plus(x Offset) Offset { return Offset{o.Min + x.Min, o.Max + x.Max} }

// minus is the offset seen from the other side.
func (o Offset) minus() Offset { return Offset{-o.Max, -o.Min} }

func (o Offset) width() time.Duration { return o.Max - o.Min }

// and is what two measurements agree on. If they contradict each other, a clock was
// set in between, and the newer one is right.
func (o Offset) and(newer Offset) Offset {
	m := Offset{max(o.Min, newer.Min), min(o.Max, newer.Max)}
	if m.Min > m.Max {
		return newer
	}
	return m
}

// The kinds of clocks.
const (
	ClockOfServices = "services"
	ClockOfHost     = "host"
)

// Clock is one clock and its Offset against the services of the site that the
// client talks to. Without Known it is not known, or is against the services of the
// clock's own site if OfSite is set.
type Clock struct {
	Site   cdp.Site `json:"site"`
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	Known  bool     `json:"known"`
	OfSite bool     `json:"againstOwnSite,omitempty"`
	Offset
	NTP   []string `json:"ntp,omitempty"`
	Notes []string `json:"notes,omitempty"` // what is wrong with it
	Error string   `json:"error,omitempty"` // why it was not measured
	// ByJournal: the journal measured it last; nobody answers now.
	ByJournal bool `json:"-"`
}

// SilentSite is a site whose vcenter service did not answer.
type SilentSite struct {
	Site cdp.Site
	Err  error
}

// tooFar is the offset from which on a clock is pointed out.
const tooFar = time.Second

// Clocks measures the clocks of the services and hosts of this site and of those
// that it is linked with.
func (c *Client) Clocks(ctx context.Context) (all []Clock, silent []SilentSite, err error) {
	names, err := c.serviceNames(ctx)
	if err != nil {
		return nil, nil, err
	}
	own := c.siteClocks(ctx, c.site)
	if own.err != nil {
		silent = append(silent, SilentSite{c.site, own.err})
	}
	all = append(all, Clock{Site: c.site, Kind: ClockOfServices, Name: names[c.site], Known: true}.judged())
	all = append(all, own.hostClocks(&Offset{})...)
	for _, p := range c.peers {
		x := c.siteClocks(ctx, p)
		if x.err != nil {
			silent = append(silent, SilentSite{p, x.err})
		}
		if s, err := c.captureClock(ctx, p); err == nil {
			if x.services != nil {
				s = x.services.and(s)
			}
			x.services = &s
		}
		row, between := c.between(ctx, own, x)
		row.Name = names[p]
		all = append(all, row.judged())
		all = append(all, x.hostClocks(between)...)
	}
	return all, silent, nil
}

// siteClocks is what a site reports of its clocks.
type siteClocks struct {
	site  cdp.Site
	hosts api.ClocksReply
	// services is the offset of its services against this program's clock; nil: not
	// measured.
	services *Offset
	err      error
}

func (c *Client) siteClocks(ctx context.Context, site cdp.Site) siteClocks {
	x := siteClocks{site: site}
	sent := c.clock.Now()
	if x.err = c.askVCenter(ctx, site, api.VCenterClocks, api.Empty{}, &x.hosts); x.err == nil {
		x.services = &Offset{x.hosts.At.Sub(c.clock.Now()), x.hosts.At.Sub(sent)}
	}
	return x
}

// between is the clock of a linked site's services, and its offset against this
// site's; nil: not known.
func (c *Client) between(ctx context.Context, own, far siteClocks) (Clock, *Offset) {
	row := Clock{Site: far.site, Kind: ClockOfServices}
	var between *Offset
	if s, ok := c.journalClock(ctx, far.site); ok {
		between = &s
	}
	if far.services != nil && own.services != nil {
		if s := far.services.plus(own.services.minus()); between == nil || s.width() < between.width() {
			between = &s
		}
	}
	switch {
	case between != nil:
		row.Known, row.Offset, row.ByJournal = true, *between, far.services == nil
		if row.ByJournal {
			row.Notes = append(row.Notes, "as the journal measured it last")
		}
	case far.services != nil:
		row.Error = "the services of " + string(own.site) + " do not answer"
	default:
		row.Error = "its services do not answer"
	}
	return row, between
}

// hostClocks are a site's hosts, which were measured against its services; services
// is how far those are off; nil: not known.
func (x siteClocks) hostClocks(services *Offset) (out []Clock) {
	for _, h := range x.hosts.Hosts {
		r := Clock{Site: x.site, Kind: ClockOfHost, Name: h.Name, NTP: h.NTP, Error: h.Error}
		if h.Error == "" {
			r.Known, r.OfSite, r.Offset = services != nil, services == nil, Offset{h.Min, h.Max}
			if services != nil {
				r.Offset = r.Offset.plus(*services)
			}
		}
		out = append(out, r.judged())
	}
	return out
}

// judged points out what is wrong with a clock.
func (r Clock) judged() Clock {
	if r.Error != "" {
		return r
	}
	switch {
	case r.Min > tooFar || r.Max < -tooFar:
		r.Notes = append(r.Notes, "off by more than 1 s")
	case r.Max > tooFar || r.Min < -tooFar:
		r.Notes = append(r.Notes, "may be off by more than 1 s")
	}
	if r.Kind == ClockOfHost && len(r.NTP) == 0 {
		r.Notes = append(r.Notes, "no NTP server")
	}
	return r
}

// serviceNames are the transporters that the sites' services run on, as far as
// they are described.
func (c *Client) serviceNames(ctx context.Context) (map[cdp.Site]string, error) {
	out := map[cdp.Site]string{c.site: "services"}
	for _, p := range c.peers {
		out[p] = "services"
	}
	all, err := c.Sites(ctx)
	for _, s := range all {
		if s.VSphere != nil && s.VSphere.Transporter != "" {
			out[s.Name] = "services on " + s.VSphere.Transporter
		}
	}
	return out, err
}

// captureClock measures the clock of a site's services against this program's, as
// NTP does: an answer says when the question came and when the answer left.
func (c *Client) captureClock(ctx context.Context, site cdp.Site) (Offset, error) {
	const samples = 5
	var best Offset
	for i := range samples {
		one, cancel := context.WithTimeout(ctx, time.Second)
		sent := c.clock.Now()
		var r api.ClockReply
		err := c.conn.Request(one, site, subjects.Capture, api.CaptureClock, api.ClockRequest{Sent: sent.UnixNano()}, &r)
		received := c.clock.Now()
		cancel()
		if err != nil {
			return best, err
		}
		s := Offset{time.Duration(r.Sent - received.UnixNano()), time.Duration(r.Received - sent.UnixNano())}
		if i == 0 {
			best = s
		} else {
			best = best.and(s)
		}
	}
	return best, nil
}

// journalClock is the offset of a site's services against this site's as the
// journal measured it, over all groups from there; not ok if it measured none.
func (c *Client) journalClock(ctx context.Context, site cdp.Site) (out Offset, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := c.Journal().All(ctx)
	if err != nil {
		return out, false
	}
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return out, false
	}
	from := map[cdp.GroupID]cdp.Site{}
	for _, j := range jobs {
		from[j.Group()] = j.Source.Site
	}
	for _, g := range r.Groups {
		if g.ClockBound == 0 || from[g.Group] != site {
			continue
		}
		// The journal reports target minus source.
		s := Offset{-g.ClockOffset - g.ClockBound, -g.ClockOffset + g.ClockBound}
		if !ok || s.width() < out.width() {
			out, ok = s, true
		}
	}
	return out, ok
}
