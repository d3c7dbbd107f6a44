package health

import (
	"cmp"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

const (
	// refusedFor is how long capture must refuse a job that was told to run, and
	// brokenFor how long anything else must be in its way, until it has failed: what
	// is starting is in such a state for a moment.
	refusedFor = 10 * time.Second
	brokenFor  = 30 * time.Second
)

// Start follows a job that was told to run until it is protected, or will not be
// unless somebody does something. The zero value is its beginning.
type Start struct {
	since time.Time // when what is in its way began; zero: nothing is
}

// Next takes the verdict of now. It is done with an error once the job has failed.
func (s *Start) Next(g Group, now time.Time) (done bool, err error) {
	limit := brokenFor
	onItsWay := g.State == NoData && g.Capture != nil // its first point comes when it is due
	switch g.State {
	case Protected, Settling:
		return true, nil
	case FailedOver, FailingOver, Stopped, Gone:
		limit = 0
	case Failed, NoData, NoNewPoints, NotCaptured, Unknown:
		if g.refused {
			limit = refusedFor
		}
	default:
		onItsWay = true
	}
	if onItsWay {
		s.since = time.Time{}
		return false, nil
	}
	if s.since.IsZero() {
		s.since = now
	}
	if now.Sub(s.since) < limit {
		return false, nil
	}
	cause := g.cause()
	return true, cdp.Errorf(cdp.Conflict, "protect", g.Job, "the job was told to run, and is not protected (%s)%s", g.State, because(cause.Text)).
		WithHint(cmp.Or(cause.Do, "see: tidemark status "+g.Job))
}

// cause is the problem that the others follow from: the source's are the last.
func (g Group) cause() Problem {
	if len(g.Problems) == 0 {
		return Problem{}
	}
	return g.Problems[len(g.Problems)-1]
}

// Progress is how far the start is, for people.
func (g Group) Progress() api.Progress {
	p := api.Progress{Text: string(g.State)}
	if g.Copy != nil {
		p.Moved, p.Total = g.Copy.Done, g.Copy.Total
	} else {
		p.Text += because(g.cause().Text)
	}
	return p
}

// Copied is how many bytes of the job's disks were compared in its last seed, and how many
// of them were sent; 0 if that is not known.
func (g Group) Copied() (compared, sent int64) {
	if g.Capture == nil {
		return 0, 0
	}
	for _, d := range g.Capture.Disks {
		compared += d.Size
	}
	return compared, max(0, compared-g.Capture.Verified)
}
