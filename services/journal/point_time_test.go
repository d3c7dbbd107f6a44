package journal

import (
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
)

func TestATimeMeansThePointListedWithIt(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 15, 0, 1e6, time.UTC)
	ps := []cdp.Point{{Frame: 1, Time: at.Add(-time.Second)}, {Frame: 2, Time: at.Add(123456)}, {Frame: 3, Time: at.Add(time.Second)}}
	for _, c := range []struct {
		at                time.Time
		is, before, after cdp.FrameNo
	}{
		{at, 2, 1, 3}, {at.Add(123456), 2, 1, 3}, {at.Add(123455), 0, 1, 2}, {at.Add(123457), 0, 2, 3},
		{at.Add(-time.Minute), 0, 0, 1}, {at.Add(time.Minute), 0, 3, 0},
	} {
		no := func(p *cdp.Point) cdp.FrameNo {
			if p == nil {
				return 0
			}
			return p.Frame
		}
		if is, before, after := around(ps, c.at); no(is) != c.is || no(before) != c.before || no(after) != c.after {
			t.Errorf("%v: %d, %d, %d", c, no(is), no(before), no(after))
		}
	}
}
