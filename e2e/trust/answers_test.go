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

// may reports whether a role may ask a service of its site for an endpoint.
func may(role, service, endpoint string) bool {
	allowed := bus.Permissions(role, "dr", "prod").Publish
	return slices.Contains(allowed, subjects.RequestSubject("dr", service, endpoint)) || slices.Contains(allowed, subjects.RequestSubject("dr", service, "*"))
}

// Each endpoint of each service is asked by a person for an answer in the inbox of every
// role that may not ask for it. No answer comes there, and each comes where it may.
func TestAnswersGoToThoseWhoMayAsk(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	names := endpoints(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, service := range serving() {
		all := map[string]api.Endpoint{}
		for _, e := range names {
			all[e] = func(context.Context, []byte) (any, error) { return "EVIL", nil }
		}
		conn := s.Connect("dr", service)
		wg.Go(func() { _ = conn.Serve(ctx, service, all) })
		asker := s.Connect("dr", subjects.Operator)
		for _, e := range names {
			bustest.Eventually(t, service+" answers "+e, func() bool { return asker.Request(t.Context(), "dr", service, e, nil, nil) == nil })
		}
	}
	spy, _ := admin(t, s, "dr")
	var mu sync.Mutex
	heard := map[string]bool{}
	if _, err := spy.Subscribe(">", func(m *nats.Msg) { mu.Lock(); heard[m.Subject] = true; mu.Unlock() }); err != nil {
		t.Fatal(err)
	}
	if err := spy.Flush(); err != nil {
		t.Fatal(err)
	}
	a := newAttacker(t, s.DR.ClientURL(), s.Credential("dr", subjects.Operator))
	good, evil := a.nc.NewInbox(), []string{}
	ask := func(service, endpoint, reply string) {
		if err := a.nc.PublishRequest(subjects.RequestSubject("dr", service, endpoint), reply, nil); err != nil {
			t.Fatal(err)
		}
	}
	var answers []string
	for _, service := range serving() {
		for _, e := range names {
			at := "." + service + "." + e
			for _, role := range roles() {
				if reply := bus.InboxPrefix(role) + ".evil" + at; role != service && !may(role, service, e) {
					evil = append(evil, reply)
					ask(service, e, reply)
				}
			}
			for _, reply := range []string{"_INBOX.evil" + at, "$KV.tidemark-spec.job.evil" + at} {
				evil = append(evil, reply)
				ask(service, e, reply)
			}
			// A service takes the requests for an endpoint in order.
			answers = append(answers, good+at)
			ask(service, e, good+at)
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
	s := bustest.Start(t, bustest.Secured)
	for _, role := range serving() {
		a := newAttacker(t, s.DR.ClientURL(), s.Credential("dr", role))
		own := []string{micro.APIPrefix + ".PING.tidemark-" + role}
		for _, e := range endpoints(t) {
			if may(role, role, e) {
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
