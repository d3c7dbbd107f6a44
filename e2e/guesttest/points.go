package guesttest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
)

// Until asks how a job stands until fit is content. The error says how it stood
// last.
func (p *Product) Until(ctx context.Context, job, what string, fit func(Standing) bool) (Standing, error) {
	for {
		st, err := p.Standing(ctx, job)
		if err == nil && fit(st) {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return st, fmt.Errorf("wait until %s: %w; job is %s, problems %v, journal %+v, capture %+v (%v)",
				what, ctx.Err(), st.State, st.Problems, st.Journal, st.Capture, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Arrived tells that the journal has all that capture ever saw.
func (s Standing) Arrived() bool {
	return s.Capture != nil && s.Journal != nil && s.Capture.InFlight == 0 && s.Capture.Dirty == 0 &&
		s.Journal.Bounds.Head == s.Capture.Seq
}

// HasPoints tells that there are at least n recovery points.
func (s Standing) HasPoints(n int) bool { return s.Journal != nil && s.Journal.Points >= n }

// Choose takes the n points worth trying: the newest, the tagged one, the oldest,
// and between them those whose writes are evenly apart. Newest first.
func Choose(ps []cdp.Point, tag string, n int) ([]cdp.Point, error) {
	tagged := slices.IndexFunc(ps, func(p cdp.Point) bool { return slices.Contains(p.Tags, tag) })
	if tagged < 0 || len(ps) < n {
		return nil, fmt.Errorf("of %d points none has the tag %q, or they are fewer than %d: %+v", len(ps), tag, n, ps)
	}
	var chosen []int
	take := func(i int) {
		if i < len(ps) && len(chosen) < n && !slices.Contains(chosen, i) {
			chosen = append(chosen, i)
		}
	}
	take(len(ps) - 1)
	take(tagged)
	first, last := ps[0].Seq, ps[len(ps)-1].Seq
	for k := 1; k < n-2; k++ {
		want := first + (last-first)*cdp.Seq(k)/cdp.Seq(n-2)
		take(slices.IndexFunc(ps, func(p cdp.Point) bool { return p.Seq >= want }))
	}
	for i := range ps { // the oldest, and with few points whatever is left
		take(i)
	}
	var out []cdp.Point
	for _, i := range chosen {
		out = append(out, ps[i])
	}
	return out, nil
}
