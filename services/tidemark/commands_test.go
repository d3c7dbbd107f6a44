package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// TestSpecsByCommand: what the command line can do, a message can: a bad document
// is refused as invalid (which makes it a dead letter) with its path, and changes
// nothing; a good one is written, and what is not in use is deleted.
func TestSpecsByCommand(t *testing.T) {
	d := newDesk(t)
	docs := func(text string) json.RawMessage {
		t.Helper()
		objects, err := spec.Parse("test", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := spec.Document(objects[0])
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	job, site := docs(goodJob("/a", "/b")), docs("apiVersion: tidemark.dev/v1\nkind: Site\nmetadata: {name: prod}\nspec: {kind: block}\n")
	bad := json.RawMessage(strings.Replace(string(job), `"rpo":"1s"`, `"rpo":"1ms"`, 1))
	refusals := make(chan event.CommandRefused, 10)
	go func() {
		_ = d.conn.WatchEvents(t.Context(), bus.EventFilter{Site: "dr", Area: "command"}, func(_ context.Context, e bus.SeenEvent) error {
			var r event.CommandRefused
			if err := e.Into(&r); err != nil {
				return err
			}
			refusals <- r
			return nil
		})
	}()
	send := func(p event.Payload) string {
		t.Helper()
		id, err := d.conn.Command(t.Context(), "dr", p)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	wait := time.After(time.Minute)
	refused := func(kind cdp.Kind, p event.Payload, wanted ...string) {
		t.Helper()
		id := send(p)
		select {
		case r := <-refusals:
			if r.ID != id || r.Kind != kind {
				t.Errorf("want %s: %+v", kind, r)
			}
			wants(t, r.Reason+" "+r.Hint, wanted...)
		case <-wait:
			t.Fatal("not refused")
		}
	}
	become := func(code int, args ...string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if run(t.Context(), append(args, "--nats", d.url), nil, &strings.Builder{}, &strings.Builder{}) == code {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%v: never exit code %d", args, code)
			}
		}
	}
	refused(cdp.Invalid, event.JobApply{Job: "web", Document: bad}, "/spec/rpo", "1ms")
	refused(cdp.Invalid, event.JobApply{Job: "other", Document: job}, "the document describes the job web")
	refused(cdp.Invalid, event.SiteApply{Site: "dr", Document: site}, "the document describes the site prod")
	d.do(exitNotFound, "get", "job", "web")
	send(event.SiteApply{Site: "prod", Document: site})
	send(event.JobApply{Job: "web", Document: job})
	become(0, "get", "job", "web")
	become(0, "get", "site", "prod")
	refused(cdp.Conflict, event.SiteDelete{Site: "prod"}, "the job web uses it")
	send(event.JobDelete{Job: "web", DropPoints: true})
	become(exitNotFound, "get", "job", "web")
	send(event.SiteDelete{Site: "prod"})
	become(exitNotFound, "get", "site", "prod")
}
