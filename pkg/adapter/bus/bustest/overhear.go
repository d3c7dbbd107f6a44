package bustest

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api/apitest"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

// Overhear listens to every request that services of a site take, and to every answer,
// until stop is called, which reports those that their schemas refuse, and gives the
// endpoints that answered, as service.endpoint. as may read everything.
func Overhear(t testing.TB, url string, as bus.Credential, site cdp.Site) (stop func() map[string]bool) {
	t.Helper()
	type asked struct {
		service, endpoint string
		request           []byte
	}
	answered, wrong, waiting := map[string]bool{}, map[string]bool{}, map[string]asked{}
	nc, err := nats.Connect(url, nats.UserInfo(as.User, as.Password))
	if err != nil {
		t.Fatal(err)
	}
	// One subscription gives a request before its answer.
	sub, err := nc.Subscribe(">", func(m *nats.Msg) {
		if at, ok := strings.CutPrefix(m.Subject, subjects.Root+"api.v1."+string(site)+"."); ok && m.Reply != "" {
			service, endpoint, _ := strings.Cut(at, ".")
			if e, err := event.Decode(m.Header, m.Data); err == nil || len(m.Data) == 0 {
				waiting[m.Reply] = asked{service, endpoint, e.Data}
			}
			return
		}
		a, ok := waiting[m.Subject]
		if !ok {
			return
		}
		delete(waiting, m.Subject)
		if len(m.Header) > 0 {
			return // a refusal, or a part of an answer
		}
		answered[a.service+"."+a.endpoint] = true
		if err := apitest.Exchange(a.service, a.endpoint, a.request, m.Data); err != nil {
			wrong[err.Error()] = true
		}
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() map[string]bool {
		t.Helper()
		ended := make(chan struct{})
		sub.SetClosedHandler(func(string) { close(ended) })
		if err := sub.Drain(); err == nil {
			<-ended
		}
		nc.Close()
		for text := range wrong {
			t.Error(text)
		}
		return answered
	}
}
