package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/core/plan"
)

const shopPlan = `apiVersion: tidemark.dev/v1
kind: SiteRecoveryJob
metadata: {name: shop-dr}
spec:
  site: dr
  objective: 1h
  actions:
  - {name: fresh, mode: test, check: {point: {job: db, youngerThan: 5m}}}
  - {name: db, failover: {job: db}}
  - {name: web, failover: {job: web}}
  - {name: note, script: {file: note, args: [shop]}}
`

// shop has two protected jobs, db and web, in a lab.
func shop(t *testing.T, dir string) *lab {
	t.Helper()
	l := newLab(t, dir, "")
	for _, name := range []string{"db", "web"} {
		src := write(t, filepath.Join(dir, name+".img"), "the first sector")
		if err := os.Truncate(src, 1<<20); err != nil {
			t.Fatal(err)
		}
		job := strings.Replace(goodJob(src, filepath.Join(dir, name+"-r.img")), "name: web", "name: "+name, 1)
		l.do(0, "apply", "-f", write(t, filepath.Join(dir, name+".yaml"), job))
		l.do(0, "job", "run", name)
	}
	scripts := filepath.Join(dir, "dr", "scripts")
	if err := os.MkdirAll(scripts, 0o700); err != nil {
		t.Fatal(err)
	}
	note := write(t, filepath.Join(scripts, "note"), "#!/bin/sh\necho \"$TIDEMARK_MODE $1\" >> "+dir+"/notes\n")
	if err := os.Chmod(note, 0o700); err != nil {
		t.Fatal(err)
	}
	return l
}

// lastRun is the last run of the plan.
func (l *lab) lastRun() plan.Run {
	l.t.Helper()
	out, _ := l.do(0, "plan", "status", "shop-dr", "-o", "json")
	return decode[plan.Run](l.t, out)
}

// TestPlanStory: a plan over two groups is tested while replication goes on, and
// cleaned up; then it is run with the source site dead, in order, by a message alone;
// its report says so.
func TestPlanStory(t *testing.T) {
	dir := short(t)
	l := shop(t, dir)
	poke(t, l.field("write to", "status", "db"), 4096, 'D')
	l.do(0, "point", "create", "db")
	file := write(t, filepath.Join(dir, "plan.yaml"), shopPlan)
	l.do(0, "plan", "check", "-f", file)
	l.do(exitNotFound, "plan", "check", "shop-dr")
	l.do(0, "plan", "apply", "-f", file)
	wants(t, first(l.do(0, "plan", "check", "shop-dr")), "nothing found")
	wants(t, first(l.do(0, "plan", "list")), "shop-dr", "never", "verified")
	wants(t, first(l.do(exitNotFound, "plan", "status", "shop-dr")), "verified, checked")
	wants(t, first(l.do(0, "plan", "graph", "shop-dr")), "web    (failover web)  <- db")
	wants(t, first(l.do(0, "plan", "graph", "-f", file, "--svg")), "<svg")
	l.do(exitNotFound, "plan", "run", "nosuch")
	l.do(exitNotFound, "plan", "status", "shop-dr")
	mendedPlan(t, l)
	wants(t, first(l.do(0, "plan", "diff", "-f", file)), "nothing would change")
	other := write(t, filepath.Join(dir, "other.yaml"), strings.Replace(shopPlan, "objective: 1h", "objective: 2h", 1))
	wants(t, first(l.do(0, "plan", "diff", "-f", other)), `~ plan: objective: "2h", was "1h"`)
	wants(t, first(l.do(0, "plan", "test", "shop-dr", "--dry-run")), "nothing is done", "unknown", "clean up db", "4 actions, never done before")

	out, errs := l.do(0, "plan", "test", "shop-dr", "--follow")
	wants(t, out, "succeeded", "within the objective", "clean up")
	wants(t, errs, "clean up db")
	for _, job := range []string{"db", "web"} {
		if out, _ := l.do(0, "export", "list", job); !strings.Contains(out, "none") {
			t.Error("the test left something:", out)
		}
	}
	wants(t, first(l.do(0, "plan", "run", "shop-dr", "--dry-run")), "nothing is done", "for runs in test only", "; the objective is 1h")
	wants(t, first(l.do(0, "plan", "history", "shop-dr")), "test")
	l.until("protected", "status", "web")
	l.stop()

	l = newLab(t, dir, ", services: []")
	l.until("does not answer", "status")
	l.publish("orchestrator", "run", `{"plan": "shop-dr", "run": "r-1", "mode": "production"}`)
	l.until("r-1", "plan", "status", "shop-dr")
	l.until("succeeded", "plan", "status", "shop-dr")
	r := l.lastRun()
	db, web := r.Actions[1], r.Actions[2]
	if r.ID != "r-1" || db.EndedAt.IsZero() || web.BegunAt.Before(db.EndedAt) {
		t.Errorf("not in order: %+v", r.Actions)
	}
	expect(t, l.field("disk", "failover", "status", "db"), 4096, 'D')
	if notes, err := os.ReadFile(filepath.Join(dir, "notes")); err != nil || string(notes) != "test shop\nproduction shop\n" {
		t.Errorf("the script saw %q: %v", notes, err)
	}
	wants(t, first(l.do(0, "plan", "history", "shop-dr")), "r-1", "test")
	wants(t, first(l.do(0, "plan", "report", "shop-dr", "--html")), "<h1>shop-dr: succeeded</h1>", "at point")
	wants(t, first(l.do(0, "events", "plan.finished.shop-dr")), "r-1")
	l.do(0, "plan", "delete", "shop-dr")
	l.do(exitNotFound, "plan", "status", "shop-dr")
	triggered(t, l)
}

// mendedPlan takes the script away and puts it back: the plan's state says so, and a
// finding since when it is known.
func mendedPlan(t *testing.T, l *lab) {
	t.Helper()
	note := filepath.Join(l.dir, "dr", "scripts", "note")
	if err := os.Rename(note, note+".away"); err != nil {
		t.Fatal(err)
	}
	wants(t, first(l.do(exitConflict, "plan", "check", "shop-dr")), "there is no program note in the script directory of site dr (since ")
	wants(t, first(l.do(0, "plan", "list")), "failed, 1 error")
	wants(t, first(l.do(0, "events", "plan.checked.shop-dr")), "failed")
	if err := os.Rename(note+".away", note); err != nil {
		t.Fatal(err)
	}
	wants(t, first(l.do(0, "plan", "check", "shop-dr")), "nothing found")
	wants(t, first(l.do(0, "plan", "list", "-o", "json")), `"state": "verified"`)
}

// triggered has two witnesses report on prod while dr has no answer from it: as long as
// they do, nothing starts; when they have none either, the plan starts.
func triggered(t *testing.T, l *lab) {
	t.Helper()
	prod := greeter(t)
	var keys []string
	for _, name := range []string{"a", "b"} {
		file := filepath.Join(l.dir, name+".key")
		out, _ := l.do(0, "witness", "--key", file, "--print-key")
		keys = append(keys, strings.TrimSpace(out))
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(func() { cancel(); wg.Wait() })
		wg.Go(func() {
			run(ctx, []string{"witness", "--dir", l.dir, "--key", file, "--every", "200ms", "--watch", "prod=nats://" + prod.Addr().String()}, nil, io.Discard, io.Discard)
		})
	}
	l.do(0, "plan", "apply", "-f", write(t, filepath.Join(l.dir, "gone.yaml"), `apiVersion: tidemark.dev/v1
kind: SiteRecoveryJob
metadata: {name: shop-gone}
spec:
  site: dr
  triggers:
  - {name: prod-gone, mode: test, start: automatic, for: 1s, unreachable: {site: prod, witnesses: [{name: a, key: "`+keys[0]+`"}, {name: b, key: "`+keys[1]+`"}]}}
  - {name: alarm, signal: {}}
  actions:
  - {name: gone, check: {unreachable: prod}}
`))
	l.until(`"0 of 2 witnesses see that prod does not answer, and 2 must"`, "plan", "trigger", "list", "shop-gone", "-o", "json")
	wants(t, first(l.do(0, "plan", "history", "shop-gone", "-o", "json")), "[]")
	prod.Close()
	l.until("has begun", "plan", "trigger", "list", "shop-gone")
	l.until("succeeded", "plan", "status", "shop-gone")
	if r := decode[plan.Run](t, first(l.do(0, "plan", "status", "shop-gone", "-o", "json"))); r.By != "trigger prod-gone" {
		t.Errorf("%+v", r)
	}
	l.do(exitConflict, "plan", "trigger", "approve", "shop-gone", "alarm")
	l.do(exitNotFound, "plan", "trigger", "raise", "shop-gone", "nosuch")
	l.do(0, "plan", "trigger", "raise", "shop-gone", "alarm")
	l.until("start the plan in production?", "plan", "trigger", "list", "shop-gone")
	wants(t, first(l.do(0, "plan", "list")), "alarm is asking")
	l.do(0, "plan", "trigger", "refuse", "shop-gone", "alarm", "--as", "ann")
}

// greeter stands for the NATS server of a site.
func greeter(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("INFO {}\r\n"))
			c.Close()
		}
	}()
	return l
}

func first(out, _ string) string { return out }

// publish sends bare JSON, as nats pub does, with the trace that somebody typed.
func (l *lab) publish(service, verb, text string, traceparent ...string) {
	l.t.Helper()
	c, err := client.LoadContext(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	ref := c.Sites["dr"]
	nc, err := nats.Connect(ref.URL, nats.UserInfo(ref.Credential.User, ref.Credential.Password), nats.CustomInboxPrefix("_INBOX_operator"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer nc.Close()
	var about struct {
		Plan string `json:"plan"`
	}
	if err := json.Unmarshal([]byte(text), &about); err != nil {
		l.t.Fatal(err)
	}
	m := &nats.Msg{Subject: "tidemark.cmd.v1.dr." + service + "." + verb + "." + about.Plan, Data: []byte(text), Header: nats.Header{}}
	if traceparent != nil {
		m.Header["Traceparent"] = traceparent
	}
	if err := nc.PublishMsg(m); err != nil {
		l.t.Fatal(err)
	}
	if err := nc.FlushTimeout(time.Minute); err != nil {
		l.t.Fatal(err)
	}
}

// TestAPlanThatIsHeldCanBeContinued: an action that fails, a question and a paused
// run wait for an operator, and the status says what to do.
func TestAPlanThatIsHeldCanBeContinued(t *testing.T) {
	dir := short(t)
	l := shop(t, dir)
	file := write(t, filepath.Join(dir, "plan.yaml"), `apiVersion: tidemark.dev/v1
kind: SiteRecoveryJob
metadata: {name: shop-dr}
spec:
  site: dr
  actions:
  - {name: sure, mode: production, ask: {text: "Fail over?"}}
  - {name: missing, script: {file: nosuch}}
  - {name: db, failover: {job: db}}
`)
	if _, errs := l.do(0, "plan", "apply", "-f", file); !strings.Contains(errs, "there is no program nosuch") {
		t.Error(errs)
	}
	l.do(exitConflict, "plan", "check", "shop-dr")
	l.do(0, "plan", "run", "shop-dr", "--run", "r-1")
	l.do(0, "plan", "run", "shop-dr", "--run", "r-1")
	l.do(exitConflict, "plan", "run", "shop-dr")
	l.do(exitConflict, "plan", "delete", "shop-dr")
	l.until("plan approve shop-dr sure", "plan", "status", "shop-dr")
	l.do(0, "plan", "pause", "shop-dr")
	l.do(0, "plan", "approve", "shop-dr", "sure")
	l.do(0, "plan", "resume", "shop-dr")
	l.until("plan skip shop-dr missing", "plan", "status", "shop-dr")
	l.do(exitConflict, "plan", "approve", "shop-dr", "sure")
	l.do(0, "plan", "retry", "shop-dr", "missing")
	l.until("plan skip shop-dr missing", "plan", "status", "shop-dr")
	l.do(0, "plan", "skip", "shop-dr", "missing")
	l.until("succeeded", "plan", "status", "shop-dr")
	l.do(0, "failover", "undo", "db", "--yes")

	// A test that fails is cleaned up; cancelled, too.
	if _, errs := l.do(exitConflict, "plan", "test", "shop-dr", "--follow"); !strings.Contains(errs, "failed") {
		t.Error(errs)
	}
	if r := l.lastRun(); r.Phase != plan.Failed || len(r.Tasks()) > 0 {
		t.Errorf("%+v", r)
	}
}
