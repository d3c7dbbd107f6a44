package journal

import (
	"testing"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
)

// A journal that is not open yet has the limit of its job already.
func TestTheLimitIsKnownBeforeTheJournalOpens(t *testing.T) {
	s := &site{t: t, svc: New(Config{}, Deps{Clock: clock.System})}
	s.svc.Apply(GroupSpec{Group: "g", Source: "prod", Limit: 5 << 30})
	if r := must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{}); r.Groups[0].Limit != 5<<30 {
		t.Errorf("%+v", r.Groups[0])
	}
}
