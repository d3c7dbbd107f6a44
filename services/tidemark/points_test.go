package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
)

// TestEachCommandHasItsOwnPoint: commands at the same time get points of their own,
// each with its tags; and while the journal lags, no command takes a point that is
// older than itself.
func TestEachCommandHasItsOwnPoint(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	file, src, dst := jobFile(t, dir)
	write(t, file, strings.Replace(goodJob(src, dst), "rpo: 1s", "rpo: 1h", 1))
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web", "--no-wait")
	l.until("p", "point", "create", "web") // none is due for an hour

	const n = 4
	said := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { said[i] = l.try(0, "point", "create", "web", "--tag", fmt.Sprintf("tag-%d", i)) })
	}
	all.Wait()
	list, _ := l.do(0, "point", "list", "web")
	for i := range n {
		id, _, _ := strings.Cut(said[i], " ")
		if at := slices.IndexFunc(strings.Split(list, "\n"), func(s string) bool {
			return strings.HasPrefix(s, id+" ") && strings.HasSuffix(s, fmt.Sprintf(" tag-%d", i))
		}); at < 0 {
			t.Errorf("command %d said %q, and the list:\n%s", i, said[i], list)
		}
	}

	// The journal takes nothing, and a point waits for it in the stream.
	l.do(0, "failover", "web", "--mode", "production")
	// Whoever asked for it is not there any more when it comes, and it has its tag.
	l.do(exitUnreachable, "point", "create", "web", "--timeout", "2s", "--tag", "late", "--pin")
	l.stop()
	// Nobody takes the next command, and nobody sends one of the same name.
	l = labOf(t, dir, strings.Replace(upFile("127.0.0.1:0", ", services: []"), "leaf:", "services: [journal, failover], leaf:", 1))
	requested := func() int {
		return strings.Count(l.until("requested", "point", "list", "web"), "requested") // the journal may still be opening it
	}
	before := requested()
	all.Go(func() {
		var none bytes.Buffer
		if code := run(t.Context(), []string{"point", "create", "web", "--tag", "not-yet", "--timeout", "6s", "--dir", dir}, nil, &none, &none); code == 0 {
			t.Error("there is no such point yet:", &none)
		}
	})
	l.do(0, "failover", "undo", "web")
	for end := time.Now().Add(time.Minute); requested() == before; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the points in the stream never arrive")
		}
	}
	all.Wait()
	if out := l.until("late", "point", "list", "web"); !strings.Contains(out, "requested, pinned") {
		t.Error(out)
	}
	if out, _ := l.do(0, "point", "list", "web"); strings.Contains(out, "not-yet") {
		t.Error("a point that is older than the command has its tag:\n" + out)
	}
}

// try is do for a goroutine of its own.
func (l *lab) try(code int, args ...string) string {
	var out, errs bytes.Buffer
	if got := run(l.t.Context(), append(args, "--dir", l.dir), nil, &out, &errs); got != code {
		l.t.Errorf("tidemark %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &out, &errs)
	}
	return out.String()
}

// TestTagsAreNoIDs: an id means its point, whatever tags there are; and what would
// be no good tag is refused in one way by every command.
func TestTagsAreNoIDs(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	file, _, _ := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.until("protected", "status")
	out, _ := l.do(0, "point", "create", "web", "--tag", "p", "--tag", "p3x")
	id, _, _ := strings.Cut(out, " ")
	for _, tag := range []string{"p3", "latest", "seq:9", "", " x", "a\nb", "\x1b[31mred", "\u202e", strings.Repeat("x", cdp.MaxTag+1)} {
		_, errs := l.do(exitUsage, "point", "create", "web", "--tag", tag)
		wants(t, errs, cdp.TagRule)
		_, errs = l.do(exitUsage, "point", "tag", "web", id, tag)
		wants(t, errs, cdp.TagRule)
		if strings.ContainsAny(errs, "\x1b\u202e") {
			t.Errorf("%q comes out as it is: %q", tag, errs)
		}
	}
	l.do(0, "point", "tag", "web", id, "p", strings.Repeat("é", cdp.MaxTag))
	l.do(exitUsage, "point", "create", "web", "--tag", "x", "--no-wait")
	l.do(0, "failover", "web", "--mode", "test", "--point", "p")
	l.do(0, "failover", "cleanup", "web")
	if out, _ := l.do(0, "point", "list", "web", "-o", "json"); strings.Contains(out, "p3x") || !strings.Contains(out, `"p"`) {
		t.Error(out)
	}
}

// TestATimeAsListedIsThatPoint: the time of a point as it is printed is the point
// itself, even where writes follow in the same moment; the future is refused, and
// changes nothing.
func TestATimeAsListedIsThatPoint(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	file, _, _ := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.until("protected", "status")
	guest := l.field("write to", "status", "web")
	for _, b := range []byte("ABC") {
		poke(t, guest, 0, b)
		l.do(0, "point", "create", "web", "--tag", "is-"+string(b))
	}
	list, _ := l.do(0, "point", "list", "web")
	for line := range strings.Lines(list) {
		i := strings.Index(line, "is-")
		if i < 0 {
			continue
		}
		f := strings.Fields(line)
		out, _ := l.do(0, "export", "web", "--at", f[1]+" "+f[2], "--detach")
		expect(t, strings.Fields(out[strings.Index(out, "nbd"):])[0], 0, line[i+3])
		wants(t, out, f[1]+" "+f[2])
	}
	for _, at := range []string{"2099-01-01T00:00:00Z", time.Now().Add(time.Hour).Format(time.RFC3339)} {
		_, errs := l.do(exitUsage, "export", "web", "--at", at)
		wants(t, errs, "is in the future")
		_, errs = l.do(exitUsage, "failover", "web", "--mode", "production", "--at", at)
		wants(t, errs, "is in the future")
	}
	l.do(exitNotFound, "failover", "status", "web")
	l.do(0, "export", "web", "--at", "now", "--detach")
}
