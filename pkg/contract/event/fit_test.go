package event_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/event"
)

// A fact with an endless reason is still a fact: its text is cut.
func TestALongTextIsCutToFit(t *testing.T) {
	s := event.NewSchemas()
	long := strings.Repeat("why ö ", 5000)
	for _, p := range []event.Payload{
		event.JournalAlarm{Group: "web", Kind: "intake", Text: long},
		event.CaptureAlarm{Group: "web", Kind: "overrun", Text: long},
		event.CaptureStateChanged{Group: "web", State: event.Detached, Reason: long, RPOClass: event.RPOUnbounded},
		event.JournalStateChanged{Group: "web", State: event.JournalFailed, Reason: long},
		event.JobStopped{Job: "web", Reason: long},
		event.JobAlarm{Job: "web", Kind: "job-spec", Text: long},
	} {
		e, err := event.New("1", time.Now(), "/dr/x", p)
		if err != nil {
			t.Fatal(err)
		}
		if s.Check(e) == nil {
			t.Errorf("%s: the text is not too long", e.Type)
		}
		if err := s.Check(s.Fit(e)); err != nil {
			t.Error(err)
		}
	}
}
