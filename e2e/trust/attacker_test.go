package trust

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// attacker has the credentials of one role at site dr, and a plain NATS client.
type attacker struct {
	t       *testing.T
	nc      *nats.Conn
	tries   int
	mu      sync.Mutex
	refused map[string]bool // subjects that the server did not let it publish to
}

// attack is one message.
type attack struct{ subject, body string }

var violation = regexp.MustCompile(`(?i)permissions violation for publish to "([^"]*)"`)

func newAttacker(t *testing.T, url string, who bus.Credential) *attacker {
	t.Helper()
	a := &attacker{t: t, refused: map[string]bool{}}
	nc, err := nats.Connect(url, nats.UserInfo(who.User, who.Password), nats.CustomInboxPrefix("_INBOX_"+who.User),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if m := violation.FindStringSubmatch(err.Error()); m != nil {
				a.refused[m[1]] = true
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	a.nc = nc
	return a
}

// try publishes all and gives the subjects that the server let pass. The client hands
// errors over in order, on a goroutine of its own; the last one is known.
func (a *attacker) try(attacks []attack) (passed []string) {
	a.t.Helper()
	a.tries++
	last := fmt.Sprintf("trust.last.%d", a.tries)
	for _, x := range append(attacks, attack{last, ""}) {
		if err := a.nc.PublishRequest(x.subject, a.nc.NewInbox(), []byte(x.body)); err != nil {
			a.t.Fatal(err)
		}
	}
	bustest.Eventually(a.t, "all judged", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.refused[last] })
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range attacks {
		if !a.refused[x.subject] {
			passed = append(passed, x.subject)
		}
	}
	return passed
}

// roles are all users of a site but set-up, which owns the streams.
func roles() []string {
	return slices.DeleteFunc(subjects.Services(), func(s string) bool { return s == subjects.Setup })
}

// admin may do and see everything at a site.
func admin(t *testing.T, s *bustest.Sites, site cdp.Site) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	who := s.Credential(site, subjects.Setup)
	nc, err := nats.Connect(s.Server(site).ClientURL(), nats.UserInfo(who.User, who.Password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// inventory is every stream of a site with its configuration and its consumers.
func inventory(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	var out []string
	all := js.ListStreams(t.Context())
	for s := range all.Info() {
		if c := s.Config; strings.HasPrefix(c.Description, "copy of ") { // which loses its source and gets it again when it stalls
			s.Config = jetstream.StreamConfig{Name: c.Name, MaxBytes: c.MaxBytes, RePublish: c.RePublish, SubjectTransform: c.SubjectTransform, Mirror: c.Mirror}
		}
		cfg, err := json.Marshal(s.Config)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s, %d consumers", cfg, s.State.Consumers))
	}
	if all.Err() != nil {
		t.Fatal(all.Err())
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
