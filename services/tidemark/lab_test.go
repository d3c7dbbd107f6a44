package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/node"
)

// lab is a running `tidemark up` and a command line beside it, in one process.
type lab struct {
	t    *testing.T
	dir  string
	stop func() (code int)
	log  *buffer // what tidemark up says
}

// buffer is a bytes.Buffer that two may use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// upFile is a file of tidemark up. prod adds to that site's part.
func upFile(leaf, prod string) string {
	return "sites:\n  - {name: prod, listen: \"127.0.0.1:0\"" + prod + "}\n  - {name: dr, listen: \"127.0.0.1:0\", leaf: \"" + leaf + "\"}\nlinks:\n  - {from: prod, to: dr}\n"
}

// newLab starts it. source adds to the part of prod in the configuration.
func newLab(t *testing.T, dir, source string, more ...string) *lab {
	t.Helper()
	return labOf(t, dir, upFile("127.0.0.1:0", source)+strings.Join(more, ""))
}

// labOf starts it with a whole configuration.
func labOf(t *testing.T, dir, up string) *lab {
	t.Helper()
	config := write(t, filepath.Join(t.TempDir(), "up.yaml"), up)
	_ = os.Remove(filepath.Join(dir, client.ContextName))
	ctx, cancel := context.WithCancel(context.Background())
	log, code := &buffer{}, make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"up", "--dir", dir, "--allow", os.TempDir(), "--allow", "sources=/dev/null", "--config", config}, nil, io.Discard, log)
	}()
	l := &lab{t: t, dir: dir, log: log}
	l.stop = sync.OnceValue(func() int {
		cancel()
		select {
		case c := <-code:
			return c
		case <-time.After(time.Minute):
			t.Error("it does not stop:\n" + log.String())
			return -1
		}
	})
	t.Cleanup(func() {
		l.stop()
		if t.Failed() {
			t.Log("up said:\n" + log.String())
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		// It is up before its services are: wait for the journal, too.
		if _, err := os.Stat(filepath.Join(dir, client.ContextName)); err == nil &&
			run(t.Context(), []string{"point", "list", "nothing", "--dir", dir}, nil, io.Discard, io.Discard) == exitNotFound {
			return l
		}
		select {
		case c := <-code:
			code <- c
			t.Fatalf("up ended with %d:\n%s", c, log)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("not up:\n" + log.String())
		}
	}
}

// do runs a command, which must end with the code.
func (l *lab) do(code int, args ...string) (out, errs string) {
	l.t.Helper()
	return do(l.t, code, "", append(args, "--dir", l.dir)...)
}

func do(t *testing.T, code int, in string, args ...string) (out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if got := run(ctx, args, strings.NewReader(in), &o, &e); got != code {
		t.Fatalf("tidemark %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &o, &e)
	}
	return o.String(), e.String()
}

// until runs a command until its output has what is wanted. It may fail before:
// up is up before its services are.
func (l *lab) until(want string, args ...string) string {
	l.t.Helper()
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var out, errs bytes.Buffer
		code := run(l.t.Context(), append(args, "--dir", l.dir), nil, &out, &errs)
		if code == 0 && strings.Contains(out.String(), want) {
			return out.String()
		}
		if time.Now().After(end) {
			l.t.Fatalf("tidemark %s: never %q\n%s%s", strings.Join(args, " "), want, &out, &errs)
		}
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// jobFile is a good job with an image of 4 MiB, and its file.
func jobFile(t *testing.T, dir string) (file, source, replica string) {
	t.Helper()
	source, replica = filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img")
	write(t, source, "the first sector")
	if err := os.Truncate(source, 4<<20); err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(dir, "web.yaml"), goodJob(source, replica)), source, replica
}

func goodJob(source, replica string) string {
	return `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: web}
spec:
  source:
    site: prod
    capture: inline
    disks: [{name: system, path: ` + source + `}]
  target:
    site: dr
    disks: [{name: system, path: ` + replica + `}]
  rpo: 1s
`
}

// short is a temporary directory whose path is short enough for sockets.
func short(t *testing.T) string {
	dir, err := os.MkdirTemp("", "tm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestUpLeavesNothing: up starts, stops cleanly, and can be started again.
func TestUpLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := short(t)
	for range 2 {
		l := newLab(t, dir, "")
		if info, err := os.Stat(filepath.Join(dir, client.ContextName)); err != nil || info.Mode().Perm() != 0o600 {
			t.Error("the context file can be read by others:", info.Mode(), err)
		}
		out, _ := l.do(0, "status")
		if !strings.Contains(out, "No jobs") {
			t.Error(out)
		}
		if _, errs := do(t, exitConflict, "", "up", "--dir", dir); !strings.Contains(errs, "another `tidemark up` runs in it") {
			t.Error(errs)
		}
		if code := l.stop(); code != 0 {
			t.Error("exit code", code)
		}
	}
	// The server's own wait for an answer to a copy ends by itself, by its time limit.
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"))
}

// overhear holds what is asked and answered at both sites to the schemas until the result
// is called, with endpoints that must have answered.
func (l *lab) overhear(t *testing.T) func(endpoints ...string) {
	t.Helper()
	known, err := client.LoadContext(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	var stops []func() map[string]bool
	for site, at := range known.Sites {
		// A subscriber to everything counts as a responder to every request. Before the
		// services run it would hide that they do not.
		for _, s := range []string{subjects.Scheduler, subjects.Capture, subjects.Journal, subjects.Failover} {
			bustest.Eventually(t, s+" serves at "+string(site), func() bool {
				return node.Health(t.Context(), node.HealthConfig{Site: site, Bus: at, Service: s}) == nil
			})
		}
		creds, err := bus.LoadCredentials(filepath.Join(l.dir, string(site), "credentials.json"))
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, bustest.Overhear(t, at.URL, creds.Users[subjects.Setup], site))
	}
	return func(endpoints ...string) {
		t.Helper()
		answered := map[string]bool{}
		for _, stop := range stops {
			maps.Copy(answered, stop())
		}
		for _, e := range endpoints {
			if !answered[e] {
				t.Errorf("%s did not answer; these did: %v", e, slices.Sorted(maps.Keys(answered)))
			}
		}
	}
}
