package main

import (
	"fmt"
	"slices"
	"time"
)

// bound is what a figure must keep; its zero value is no bound.
type bound struct {
	least, most float64
	set         bool
}

func atLeast(v float64) bound { return bound{least: v, set: true} }
func atMost(v float64) bound  { return bound{most: v, set: true} }

var info bound

// report prints one figure: the median of its rounds.
func (b *Bench) report(name string, rounds []float64, unit string, want bound, note string) {
	v := median(rounds)
	target, verdict := "-", ""
	switch {
	case !want.set:
	case want.least > 0:
		target = fmt.Sprintf(">= %s", number(want.least))
		if verdict = "met"; v < want.least {
			b.missed++
			verdict = fmt.Sprintf("missed by %.0f %%", 100*(1-v/want.least))
		}
	default:
		target = fmt.Sprintf("<= %s", number(want.most))
		if verdict = "met"; v > want.most {
			b.missed++
			verdict = fmt.Sprintf("missed by %.0f %%", 100*(v/want.most-1))
		}
	}
	fmt.Printf("%-34s %10s %-8s %-10s %-16s %s\n", name, number(v), unit, target, verdict, note)
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// ratios divides round by round.
func ratios(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] / b[i]
	}
	return out
}

// latencies are samples of one run.
type latencies []time.Duration

func (l latencies) percentile(p float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	s := slices.Clone(l)
	slices.Sort(s)
	return s[int(p/100*float64(len(s)-1))]
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }

func mbps(n int64, d time.Duration) float64 { return float64(n) / 1e6 / d.Seconds() }
