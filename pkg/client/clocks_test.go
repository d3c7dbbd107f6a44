package client

import (
	"testing"
	"time"
)

func TestOffsets(t *testing.T) {
	ms := time.Millisecond
	a, b := Offset{1 * ms, 3 * ms}, Offset{-2 * ms, 5 * ms}
	for name, x := range map[string]struct{ got, want Offset }{
		"minus":                {a.minus(), Offset{-3 * ms, -1 * ms}},
		"plus":                 {a.plus(b), Offset{-1 * ms, 8 * ms}},
		"both agree":           {a.and(b), a},
		"they contradict":      {a.and(Offset{10 * ms, 11 * ms}), Offset{10 * ms, 11 * ms}},
		"there and back again": {b.plus(b.minus()), Offset{-7 * ms, 7 * ms}},
	} {
		if x.got != x.want {
			t.Errorf("%s: %v, want %v", name, x.got, x.want)
		}
	}
}
