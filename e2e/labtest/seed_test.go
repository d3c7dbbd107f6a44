package labtest

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/e2e/lab/stage"
	"tidemark.dev/e2e/proc"
)

// Capture is killed in the middle of the seed. Started again it sends what was
// missing, not all of it again.
func TestSeedGoesOn(t *testing.T) {
	w := newWorld(t)
	w.must(w.Protect(w.ctx, stage.Protection{Capture: "tap"}))
	soon, cancel := context.WithTimeout(w.ctx, 8*time.Minute)
	defer cancel()
	st, err := w.Until(soon, "the seed is well under way", func(st stage.Standing) bool {
		return st.Capture != nil && st.Capture.Done > st.Capture.Total/5
	})
	w.must(err)
	proc.Kill(w.ProdCapture)
	first := *st.Capture
	if first.Done >= first.Total {
		t.Fatalf("the seed was over before it could be interrupted: %d of %d bytes", first.Done, first.Total)
	}
	w.must(w.ProdCapture.Start())
	var sent int64 // in its second life
	_, err = w.Until(soon, "there is a point", func(st stage.Standing) bool {
		if st.Capture != nil {
			sent = max(sent, st.Capture.Done-st.Capture.Verified)
		}
		return st.Journal != nil && st.Journal.Points > 0
	})
	w.must(err)
	t.Logf("killed after %d of %d bytes; %d were sent in its second life", first.Done, first.Total, sent)
	// What was on its way when it died may be sent again; all of it may not.
	if most := first.Total - first.Done/2; sent == 0 || sent > most {
		t.Errorf("it sent %d bytes, after %d of %d: at most %d were missing", sent, first.Done, first.Total, most)
	}
	w.LoseProd()
	ps, err := w.Points(w.ctx)
	w.must(err)
	w.failover(ps[0], true)
	w.cleanup()
}
