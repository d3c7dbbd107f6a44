package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"
)

// With the context that is written, and nothing else, the NATS CLI hears events, sees
// every service and every stream, and reads dead letters; it changes none of them. The command line can drop these.
func TestANATSContextIsAllThatTheNATSCLINeeds(t *testing.T) {
	dir := short(t)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	l := newLab(t, dir, "")
	out, _ := l.do(0, "nats-context")
	path := filepath.Join(dir, "config", "nats", "context", "tidemark-dr.json")
	if !strings.Contains(out, path) || !strings.Contains(out, "nats --context tidemark-dr") {
		t.Error(out)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatal(st, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c client.NATSContext
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	l.do(0, "nats-context") // again
	write(t, filepath.Join(filepath.Dir(path), "mine.json"), `{"description": "mine"}`)
	l.do(exitConflict, "nats-context", "--name", "mine")
	l.do(0, "nats-context", "--name", "mine", "--force")
	l.do(exitUsage, "nats-context", "--name", "../mine")

	refused := make(chan error, 8)
	nc, err := nats.Connect(c.URL, nats.UserInfo(c.User, c.Password), nats.CustomInboxPrefix(c.InboxPrefix),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	looksAround(ctx, t, nc)
	select {
	case err := <-refused:
		t.Error("before anything was changed:", err)
	default:
	}
	buried(t, l)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	short, end := context.WithTimeout(ctx, time.Second)
	defer end()
	if err := js.DeleteStream(short, subjects.StreamEvents); err == nil {
		t.Error("the operator has deleted a stream")
	}
}

// looksAround does what nats sub, nats micro ls, nats stream ls and nats stream get do.
func looksAround(ctx context.Context, t *testing.T, nc *nats.Conn) {
	t.Helper()
	events, err := nc.SubscribeSync("tidemark.evt.v1.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("tidemark.cmd.v1.dr.scheduler.job-run.nope", []byte(`{"job": 1}`)); err != nil {
		t.Fatal(err)
	}
	for refusal := false; !refusal; {
		m, err := events.NextMsgWithContext(ctx)
		if err != nil {
			t.Fatal("no event says that a command was refused:", err)
		}
		refusal = strings.Contains(m.Subject, "command.refused")
	}
	answers, err := nc.SubscribeSync(nc.NewRespInbox())
	if err != nil {
		t.Fatal(err)
	}
	missing := []string{"capture", "journal", "scheduler", "rpo-monitor", "failover", "orchestrator", "vcenter"}
	for asked := (time.Time{}); len(missing) > 0; { // some may still be starting
		if ctx.Err() != nil {
			t.Fatal("these services did not answer:", missing)
		}
		if time.Since(asked) > time.Second {
			if err := nc.PublishRequest(micro.APIPrefix+".INFO", answers.Subject, nil); err != nil {
				t.Fatal(err)
			}
			asked = time.Now()
		}
		m, err := answers.NextMsg(100 * time.Millisecond)
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var info micro.Info
		if err := json.Unmarshal(m.Data, &info); err != nil {
			t.Fatal(err)
		}
		missing = slices.DeleteFunc(missing, func(s string) bool { return info.Name == "tidemark-"+s })
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	var streams []string
	for s := range js.ListStreams(ctx).Info() {
		streams = append(streams, s.Config.Name)
	}
	for _, want := range []string{subjects.StreamCommands, subjects.StreamEvents, subjects.StreamDeadLetters} {
		if !slices.Contains(streams, want) {
			t.Errorf("no stream %s in %v", want, streams)
		}
	}
	dead, err := js.Stream(ctx, subjects.StreamDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := dead.GetMsg(ctx, 1); err != nil || !strings.Contains(m.Subject, "scheduler") {
		t.Errorf("the dead letter is %v, %v", m, err)
	}
}
