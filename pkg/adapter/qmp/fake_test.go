package qmp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const greeting = `{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": "Debian"}, "capabilities": []}}`

// fake is a server that follows a script: it greets with hello, accepts
// capabilities, and hands each further line to answer, which returns what to
// send; an empty return sends nothing.
func fake(t *testing.T, hello string, answer func(line string) string) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "qmp")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, hello)
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "qmp_capabilities") {
				fmt.Fprintln(conn, `{"return": {}, "id": 1}`)
				continue
			}
			if out := answer(lines.Text()); out == "hang up" {
				return
			} else if out != "" {
				io.WriteString(conn, out)
			}
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return path
}

func dialFake(t *testing.T, answer func(string) string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), fake(t, greeting+"\r\n", answer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestMalformedInputEndsTheConnection(t *testing.T) {
	for name, out := range map[string]string{
		"not JSON":             "lorem ipsum\n",
		"an array":             "[1]\n",
		"empty object":         "{}\n",
		"empty line":           "\n",
		"second greeting":      greeting + "\n",
		"return and error":     `{"return": {}, "error": {"class": "a", "desc": "b"}, "id": 2}` + "\n",
		"event and return":     `{"event": "E", "return": {}, "id": 2}` + "\n",
		"reply without id":     `{"error": {"class": "GenericError", "desc": "JSON parse error"}}` + "\n",
		"unknown id":           `{"return": {}, "id": 77}` + "\n",
		"id of another type":   `{"return": {}, "id": "x"}` + "\n",
		"the same reply twice": `{"return": {}, "id": 2}` + "\n" + `{"return": {}, "id": 2}` + "\n",
		"endless line":         strings.Repeat("x", MaxLine+(128<<10)),
	} {
		t.Run(name, func(t *testing.T) {
			c := dialFake(t, func(string) string { return out })
			err := c.Execute(t.Context(), "query-status", nil, nil)
			<-c.Done() // whatever the first call got, the connection must end
			var pe *ProtocolError
			if !errors.As(c.Err(), &pe) {
				t.Fatalf("connection ended with %v, want a ProtocolError", c.Err())
			}
			if err == nil {
				err = c.Execute(t.Context(), "query-status", nil, nil)
			}
			if !errors.As(err, &pe) {
				t.Fatalf("call failed with %v, want the ProtocolError", err)
			}
		})
	}
}

func TestBadGreeting(t *testing.T) {
	for name, hello := range map[string]string{
		"another protocol": "SSH-2.0-OpenSSH_9.2\r\n",
		"no greeting":      `{"return": {}}` + "\n",
		"cut short":        greeting[:20],
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			c, err := Dial(ctx, fake(t, hello, func(string) string { return "" }))
			if err == nil {
				c.Close()
				t.Fatal("no error")
			}
		})
	}
}

func TestServerHangsUp(t *testing.T) {
	c := dialFake(t, func(string) string { return "hang up" })
	if err := c.Execute(t.Context(), "quit", nil, nil); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v, want EOF", err)
	}
	if _, err := c.WaitEvent(t.Context(), "STOP", nil); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v, want EOF", err)
	}
}

func TestCloseReleasesCallers(t *testing.T) {
	c := dialFake(t, func(string) string { return "" })
	failed := make(chan error, 2)
	go func() { failed <- c.Execute(context.Background(), "query-status", nil, nil) }()
	go func() { _, err := c.WaitEvent(context.Background(), "STOP", nil); failed <- err }()
	time.Sleep(20 * time.Millisecond)
	c.Close()
	for range 2 {
		if err := <-failed; !errors.Is(err, ErrClosed) {
			t.Fatalf("got %v, want ErrClosed", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// A caller that gave up must not disturb the others: its reply comes late, and
// is dropped.
func TestLateReplyIsDropped(t *testing.T) {
	n := 1
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	c := dialFake(t, func(string) string {
		n++
		if n == 2 {
			giveUp()
			return ""
		}
		return `{"return": {"n": 2}, "id": 2}` + "\n" + `{"return": {"n": 3}, "id": 3}` + "\n"
	})
	if err := c.Execute(ctx, "slow", nil, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the error of its context", err)
	}
	var out struct{ N int }
	if err := c.Execute(t.Context(), "fast", nil, &out); err != nil || out.N != 3 {
		t.Fatalf("got %+v, %v", out, err)
	}
}

func TestEventsAreTakenOnceAndInOrder(t *testing.T) {
	c := dialFake(t, func(string) string {
		var b strings.Builder
		for i, name := range []string{"A", "B", "A", "C"} {
			fmt.Fprintf(&b, `{"event": %q, "data": {"i": %d}, "timestamp": {"seconds": 5, "microseconds": 7}}`+"\n", name, i)
		}
		return b.String() + `{"return": {}, "id": 2}` + "\n"
	})
	if err := c.Execute(t.Context(), "go", nil, nil); err != nil {
		t.Fatal(err)
	}
	index := func(e Event) (i int) {
		var d struct{ I int }
		if err := e.Decode(&d); err != nil {
			t.Fatal(err)
		}
		return d.I
	}
	e, err := c.WaitEvent(t.Context(), "A", func(e Event) bool { return index(e) > 0 })
	if err != nil || index(e) != 2 || !e.At.Equal(time.Unix(5, 7000)) {
		t.Fatalf("got %+v, %v", e, err)
	}
	var left []string
	for _, e := range c.Events() {
		left = append(left, e.Name)
	}
	if got := strings.Join(left, ""); got != "ABC" {
		t.Fatalf("left %s, want ABC", got)
	}
	if len(c.Events()) != 0 {
		t.Fatal("events taken twice")
	}
}

func TestBacklogIsBounded(t *testing.T) {
	c := dialFake(t, func(string) string {
		line := `{"event": "E", "timestamp": {"seconds": 5, "microseconds": 7}}` + "\n"
		return strings.Repeat(line, Backlog+10) + `{"return": {}, "id": 2}` + "\n"
	})
	if err := c.Execute(t.Context(), "go", nil, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Events()); n != Backlog {
		t.Fatalf("kept %d events, want %d", n, Backlog)
	}
}
