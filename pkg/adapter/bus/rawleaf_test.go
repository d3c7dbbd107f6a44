package bus_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nkeys"
)

// rawLeaf speaks the leaf protocol with a link's key and nothing else. It obeys
// no permission.
type rawLeaf struct {
	conn net.Conn
	done chan struct{}

	mu    sync.Mutex
	lines []string
}

// dialLeaf joins a server. As a hub it claims to be the other side's master.
func dialLeaf(t *testing.T, addr, seed string, hub bool) *rawLeaf {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		Nonce string `json:"nonce"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info); err != nil {
		t.Fatal(err)
	}
	m := map[string]any{"version": "2.15.2", "server_id": "EVIL", "name": "evil", "headers": true, "protocol": 1, "domain": "evil", "is_hub": hub, "remote_account": "X"}
	if seed != "" {
		pair, err := nkeys.FromSeed([]byte(seed))
		if err != nil {
			t.Fatal(err)
		}
		sig, _ := pair.Sign([]byte(info.Nonce))
		m["nkey"], _ = pair.PublicKey()
		m["sig"] = base64.RawURLEncoding.EncodeToString(sig)
	}
	hello, _ := json.Marshal(m)
	fmt.Fprintf(conn, "CONNECT %s\r\nPING\r\n", hello)
	l := &rawLeaf{conn: conn, done: make(chan struct{})}
	go l.read(r)
	t.Cleanup(l.close)
	return l
}

func (l *rawLeaf) read(r *bufio.Reader) {
	defer close(l.done)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "PING\r\n" {
			fmt.Fprint(l.conn, "PONG\r\n")
		}
		l.mu.Lock()
		l.lines = append(l.lines, strings.TrimSpace(line))
		l.mu.Unlock()
	}
}

func (l *rawLeaf) close() { l.conn.Close(); <-l.done }

func (l *rawLeaf) closed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *rawLeaf) subscribe(subject string) { fmt.Fprintf(l.conn, "LS+ %s\r\n", subject) }

func (l *rawLeaf) publish(subject, reply, body string) {
	fmt.Fprintf(l.conn, "LMSG %s %s %d\r\n%s\r\n", subject, reply, len(body), body)
}

// heard are the subjects of the messages that came, and the whole lines.
func (l *rawLeaf) heard() (subjects, lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "LMSG" || f[0] == "HMSG" || f[0] == "MSG") {
			subjects = append(subjects, f[1])
		}
	}
	return subjects, append(lines, l.lines...)
}
