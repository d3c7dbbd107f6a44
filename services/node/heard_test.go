package node

import (
	"context"
	"fmt"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/vcenter"
)

// TestWhoseJournalAnswers: what one transporter's journal says is not taken for
// another's word.
func TestWhoseJournalAnswers(t *testing.T) {
	url := siteServer(t)
	journalThatSays(t, url, api.StatusReply{Transporter: "tm-dr", Groups: []api.GroupStatus{{Group: "web"}}})
	w := vcenterWiring{e: &env{clock: clock.System, site: "dr", peers: []cdp.Site{"prod"}}, conn: connectAs(t, url, "dr", subjects.VCenter),
		site: func(context.Context) (vcenter.Site, error) {
			return vcenter.Site{Name: "dr", Transporter: "tm-dr"}, nil
		}}
	heard := func(name string) string {
		answers, groups, err := w.Heard(t.Context(), name)
		return fmt.Sprint(answers, groups, err != nil && cdp.Is(err, cdp.Transient))
	}
	for name, want := range map[string]string{"tm-dr": "true [web] false", "tm-x": "false [] true"} {
		if got := heard(name); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
	journalThatSays(t, url, api.StatusReply{Transporter: "tm-x"})
	for range 20 { // either answers
		if answers, _, err := w.Heard(t.Context(), "tm-x"); answers && err == nil {
			return
		}
	}
	t.Error("tm-x was never heard")
}

// journalThatSays is a journal service of the site dr with one answer.
func journalThatSays(t *testing.T, url string, r api.StatusReply) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	conn := connectAs(t, url, "dr", subjects.Journal)
	go func() {
		done <- conn.Serve(ctx, subjects.Journal, map[string]api.Endpoint{
			api.JournalStatus: func(context.Context, []byte) (any, error) { return r, nil },
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	asks := connectAs(t, url, "dr", subjects.Operator)
	for { // until its subscription is known
		if err := asks.Request(t.Context(), "dr", subjects.Journal, api.JournalStatus, nil, nil); err == nil {
			return
		}
	}
}
