package capture

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// The status of a job that cannot be captured has the reason.
func TestStatusSaysWhyAJobIsNotCaptured(t *testing.T) {
	s, _ := newService(t, nil)
	s.jobs.set("web", spec.ReplicationJob{})
	s.jobs.set("db", spec.ReplicationJob{})
	s.jobs.refuse(jobKey{name: "web"}, cdp.Errorf(cdp.Transient, "open", "window", "resource temporarily unavailable").WithHint("stop the other capture service"))
	r := s.answerStatus(api.GroupRequest{})
	if len(r.Groups) != 0 || len(r.Refused) != 1 || r.Refused[0].Group != "web" || r.Refused[0].Reason != "open window: resource temporarily unavailable" || r.Refused[0].Hint == "" {
		t.Errorf("%+v", r)
	}
}
