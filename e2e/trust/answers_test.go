package trust

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// endpoints are the names of all endpoints of all services.
func endpoints(t *testing.T) (out []string) {
	t.Helper()
	files, err := filepath.Glob("../../pkg/contract/api/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	name := regexp.MustCompile(`(?m)^(?:const|\t)\s*[A-Z]\w+\s*= "([a-z-]+)"`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// serving are the services that answer requests and act for nobody but themselves.
func serving() []string {
	return slices.DeleteFunc(roles(), func(r string) bool { return r == subjects.Operator || r == subjects.Witness })
}

// grants are the subjects that each role may publish to at its site.
type grants map[string]map[string]bool

func allGrants() grants {
	g := grants{}
	for _, role := range roles() {
		g[role] = map[string]bool{}
		for _, subject := range bus.Permissions(role, "dr", "prod").Publish {
			g[role][subject] = true
		}
	}
	return g
}

// may reports whether a role may ask a service of its site for an endpoint.
func (g grants) may(role, service, endpoint string) bool {
	return g[role][subjects.RequestSubject("dr", service, endpoint)] || g[role][subjects.RequestSubject("dr", service, "*")]
}

// asker is who asks a service for an endpoint: a person, or the first role that may; empty:
// nobody may.
func (g grants) asker(service, endpoint string) string {
	for _, role := range append([]string{subjects.Operator}, roles()...) {
		if g.may(role, service, endpoint) {
			return role
		}
	}
	return ""
}

// serveEverything has each service answer each endpoint until ctx ends, and returns once
// all answer whom they may.
func serveEverything(ctx context.Context, t *testing.T, s *bustest.Sites, wg *sync.WaitGroup, names []string, granted grants) {
	t.Helper()
	for _, service := range serving() {
		all := map[string]api.Endpoint{}
		for _, e := range names {
			all[e] = func(context.Context, []byte) (any, error) { return "EVIL", nil }
		}
		conn := s.Connect("dr", service)
		wg.Go(func() { _ = conn.Serve(ctx, service, all) })
		askers := map[string]*bus.Conn{}
		for _, e := range names {
			role := granted.asker(service, e)
			if role != "" && askers[role] == nil {
				askers[role] = s.Connect("dr", role)
			}
			if role != "" {
				bustest.Eventually(t, service+" answers "+e, func() bool { return askers[role].Request(t.Context(), "dr", service, e, nil, nil) == nil })
			}
		}
	}
}

// Each endpoint of each service is asked, by somebody who may, for an answer in the inbox of
// every role that may not ask for it. No answer comes there, and each comes where it may.
func TestAnswersGoToThoseWhoMayAsk(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	names, granted := endpoints(t), allGrants()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	serveEverything(ctx, t, s, &wg, names, granted)
	spy, _ := admin(t, s, "dr")
	var mu sync.Mutex
	heard := map[string]bool{}
	if _, err := spy.Subscribe(">", func(m *nats.Msg) { mu.Lock(); heard[m.Subject] = true; mu.Unlock() }); err != nil {
		t.Fatal(err)
	}
	if err := spy.Flush(); err != nil {
		t.Fatal(err)
	}
	attackers := map[string]*attacker{}
	for _, role := range roles() {
		attackers[role] = newAttacker(t, s.DR.ClientURL(), s.Credential("dr", role))
	}
	ask := func(who, service, endpoint, reply string) {
		if err := attackers[who].nc.PublishRequest(subjects.RequestSubject("dr", service, endpoint), reply, nil); err != nil {
			t.Fatal(err)
		}
	}
	var answers, evil []string
	for _, service := range serving() {
		for _, e := range names {
			who := granted.asker(service, e)
			if who == "" {
				continue
			}
			good, at := bus.InboxPrefix(who)+".good", "."+service+"."+e
			for _, role := range roles() {
				if reply := bus.InboxPrefix(role) + ".evil" + at; role != service && !granted.may(role, service, e) {
					evil = append(evil, reply)
					ask(who, service, e, reply)
				}
			}
			for _, reply := range []string{"_INBOX.evil" + at, "$KV.tidemark-spec.job.evil" + at} {
				evil = append(evil, reply)
				ask(who, service, e, reply)
			}
			// A service takes the requests for an endpoint in order.
			answers = append(answers, good+at)
			ask(who, service, e, good+at)
		}
	}
	if len(evil) < 2000 {
		t.Fatalf("only %d tried", len(evil))
	}
	bustest.Eventually(t, "all answered that may be", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return !slices.ContainsFunc(answers, func(x string) bool { return !heard[x] })
	})
	mu.Lock()
	defer mu.Unlock()
	for _, x := range evil {
		if heard[x] {
			t.Errorf("answered at %s", x)
		}
	}
}

// A role that has a request of its own come back to it may not answer wherever it wanted
// that answer: it could publish anything anywhere.
func TestARoleAnswersItselfNowhere(t *testing.T) {
	t.Parallel()
	s, granted := bustest.Start(t, bustest.Secured), allGrants()
	for _, role := range serving() {
		a := newAttacker(t, s.DR.ClientURL(), s.Credential("dr", role))
		own := []string{micro.APIPrefix + ".PING.tidemark-" + role}
		for _, e := range endpoints(t) {
			if granted.may(role, role, e) {
				own = append(own, subjects.RequestSubject("dr", role, e))
			}
		}
		var got sync.WaitGroup
		got.Add(len(own))
		for _, subject := range own {
			if _, err := a.nc.Subscribe(subject, func(*nats.Msg) { got.Done() }); err != nil {
				t.Fatal(err)
			}
		}
		var replies []attack
		for i, subject := range own {
			reply := fmt.Sprintf("$KV.tidemark-spec.evil.%d", i)
			replies = append(replies, attack{reply, "evil"})
			if err := a.nc.PublishRequest(subject, reply, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.nc.Flush(); err != nil {
			t.Fatal(err)
		}
		got.Wait()
		if passed := a.try(replies); len(passed) > 0 {
			t.Errorf("%s may publish to %s", role, passed)
		}
	}
}
