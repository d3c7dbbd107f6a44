package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/schemas"
)

// forms are the three forms of a message of a type.
func forms(t *testing.T, typ, id string, data []byte) map[string]*nats.Msg {
	t.Helper()
	e := event.Event{ID: id + "-structured", Source: "/me", Type: typ, Data: data}
	structured, err := event.EncodeStructured(e)
	if err != nil {
		t.Fatal(err)
	}
	e.ID = id + "-binary"
	header, _ := event.Encode(e)
	return map[string]*nats.Msg{"bare": {Data: data}, "binary": {Header: header, Data: data}, "structured": {Data: structured}}
}

// person is the operator's connection, as the NATS CLI makes one.
func person(t *testing.T, s *bustest.Sites) *nats.Conn {
	t.Helper()
	u := s.Credential("dr", subjects.Operator)
	nc, err := nats.Connect(s.DR.ClientURL(), nats.UserInfo(u.User, u.Password), nats.CustomInboxPrefix(bus.InboxPrefix(subjects.Operator)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Every command reaches its service in each of the three forms, with the same content.
func TestEveryCommandMayComeInThreeForms(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	took := make(chan event.Event, 1)
	handlers := map[string]map[string]bus.Handler{}
	var commands []string
	for _, p := range event.Catalog() {
		a, err := event.AddressOf(p.EventType(), "dr", "x")
		if err != nil {
			t.Fatal(err)
		}
		if a.Family != event.Command {
			continue
		}
		commands = append(commands, p.EventType())
		if handlers[a.Area] == nil {
			handlers[a.Area] = map[string]bus.Handler{}
		}
		handlers[a.Area][a.Name] = func(_ context.Context, e event.Event) error { took <- e; return nil }
	}
	for service, h := range handlers {
		conn := s.Connect("dr", service)
		background(t, func(ctx context.Context) error { return conn.HandleCommands(ctx, service, h) })
	}
	nc := person(t, s)
	for _, typ := range commands {
		golden, err := fs.ReadFile(schemas.FS, "examples/"+event.SchemaPath(typ))
		if err != nil {
			t.Fatal(err)
		}
		payload, err := event.Event{Type: typ, Data: golden}.Typed()
		if err != nil {
			t.Fatal(err)
		}
		a, _ := event.AddressOf(typ, "dr", payload.About())
		for form, m := range forms(t, typ, typ, golden) {
			m.Subject = a.Subject()
			store(t, nc, m)
			select {
			case e := <-took:
				if !same(e.Data, golden) || e.Type != typ || form != "bare" && e.ID != typ+"-"+form {
					t.Errorf("%s, %s: came as %s %s %s", typ, form, e.Type, e.ID, e.Data)
				}
			case <-time.After(time.Minute):
				t.Fatalf("%s, %s: did not come", typ, form)
			}
		}
	}
}

// store sends a command until it is stored: of one subject one waits at a time.
func store(t *testing.T, nc *nats.Conn, m *nats.Msg) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		r, err := nc.RequestMsg(m, time.Minute)
		if err != nil {
			t.Fatal(m.Subject, err)
		}
		if !strings.Contains(string(r.Data), `"error"`) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s", m.Subject, r.Data)
		}
	}
}

func same(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

// A request may come in each of the three forms. One whose type is another's is refused.
func TestARequestMayComeInThreeForms(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	journal := s.Connect("dr", subjects.Journal)
	background(t, func(ctx context.Context) error {
		return journal.Serve(ctx, subjects.Journal, map[string]api.Endpoint{
			api.JournalStatus: api.Answer(func(_ context.Context, r api.GroupRequest) (any, error) { return r, nil }),
		})
	})
	nc := person(t, s)
	ask := func(m *nats.Msg) (answer, refusal string) {
		t.Helper()
		m.Subject = subjects.RequestSubject("dr", subjects.Journal, api.JournalStatus)
		r, err := nc.RequestMsg(m, time.Minute)
		for end := time.Now().Add(time.Minute); errors.Is(err, nats.ErrNoResponders) && time.Now().Before(end); time.Sleep(time.Millisecond) {
			r, err = nc.RequestMsg(m, time.Minute) // it may still be starting
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Data), r.Header.Get("Nats-Service-Error-Code")
	}
	typ := subjects.RequestType(subjects.Journal, api.JournalStatus)
	for form, m := range forms(t, typ, "id", []byte(`{"group": "shop"}`)) {
		if got, refused := ask(m); got != `{"group":"shop"}` || refused != "" {
			t.Errorf("%s: %s %s", form, got, refused)
		}
	}
	if got, refused := ask(&nats.Msg{}); got != "{}" || refused != "" {
		t.Errorf("nothing: %s %s", got, refused)
	}
	for form, m := range forms(t, subjects.RequestType(subjects.Journal, api.JournalHalt), "id", []byte(`{"group": "shop"}`)) {
		if got, refused := ask(m); form != "bare" && refused != string(cdp.Invalid) {
			t.Errorf("%s of another type: %s %s", form, got, refused)
		}
	}
	for _, bad := range []string{"[]", "7", "nonsense", `{"specversion": "1.0"}`, `{"grup": "shop"}`} {
		if got, refused := ask(&nats.Msg{Data: []byte(bad)}); refused != string(cdp.Invalid) {
			t.Errorf("%s: %s %s", bad, got, refused)
		}
	}
}
