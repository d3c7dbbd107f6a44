package mailer_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"strings"
	"sync"
	"testing"

	"tidemark.dev/pkg/adapter/mailer"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/certtest"
)

// server is a mail server that takes what is sent to anybody but nobody@example.com.
type server struct {
	net.Listener
	secure *tls.Config // nil: it offers no STARTTLS
	mu     sync.Mutex
	log    []string // commands
	got    string   // the last message
}

func serve(t *testing.T, secure *tls.Config) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l, secure: secure}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.talk(c)
			c.Close()
		}
	})
	return s
}

// talk is one connection.
func (s *server) talk(c net.Conn) {
	r := bufio.NewReader(c)
	say := func(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }
	say("220 here")
	offers := s.secure != nil
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		s.mu.Lock()
		s.log = append(s.log, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case verb == "EHLO" && offers:
			say("250-here\r\n250 STARTTLS")
		case verb == "EHLO":
			say("250-here\r\n250 AUTH PLAIN")
		case verb == "STARTTLS":
			say("220 go on")
			c, offers = tls.Server(c, s.secure), false
			r = bufio.NewReader(c)
		case verb == "AUTH" && strings.HasSuffix(line, "AHRpZGVtYXJrAHNlY3JldA=="):
			say("235 welcome")
		case verb == "AUTH":
			say("535 wrong password")
		case strings.Contains(line, "nobody@"):
			say("550 there is no nobody")
		case strings.Contains(line, "later@"):
			say("451 try later")
		case verb == "DATA":
			say("354 go on")
			var b strings.Builder
			for line, err = r.ReadString('\n'); err == nil && line != ".\r\n"; line, err = r.ReadString('\n') {
				b.WriteString(strings.TrimPrefix(line, "."))
			}
			s.mu.Lock()
			s.got = b.String()
			s.mu.Unlock()
			say("250 taken")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// certificates are a server's, and the roots that they are checked against.
func certificates(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	f := certtest.New(t).Issue(t.TempDir())
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{Certificates: []tls.Certificate{cert}}, roots
}

// A message arrives as it was written, over TLS with a password, and its headers are its
// own, whatever its text says.
func TestAMessageArrivesAsItWasWritten(t *testing.T) {
	secure, roots := certificates(t)
	s := serve(t, secure)
	at := mailer.Server{Address: s.Addr().String(), Roots: roots, Username: "tidemark", Password: "secret", From: "tidemark@example.com"}
	text := "Größe: 5 GiB\n.\nBcc: x@example.com\n" + strings.Repeat("long ", 300)
	if err := at.Send(t.Context(), mailer.Message{ID: "r1-0-1", To: []string{"ops@example.com", "ann@example.com"}, Subject: "shop\r\nBcc: y@example.com ü", Text: text}); err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(strings.NewReader(s.got))
	if err != nil {
		t.Fatal(err, s.got)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if got := strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n"); err != nil || got != text {
		t.Errorf("%q %v", got, err)
	}
	if m.Header.Get("Bcc") != "" || m.Header.Get("Message-ID") != "<r1-0-1@example.com>" || len(m.Header["To"]) != 1 {
		t.Errorf("%+v", m.Header)
	}
	if all := strings.Join(s.log, "\n"); !strings.Contains(all, "RCPT TO:<ann@example.com>") {
		t.Error(all)
	}
}

// The error says whether it is worth while to try again, and a password goes to no server
// without TLS, or whose certificate is not as wanted.
func TestWhatIsWrongIsSaid(t *testing.T) {
	cert, _ := certificates(t)
	open, secure := serve(t, nil), serve(t, cert)
	gone, err := net.ListenTCP("tcp", &net.TCPAddr{IP: certtest.Quiet})
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	ok := mailer.Server{Address: open.Addr().String(), Security: mailer.Plain, From: "a@example.com"}
	for name, c := range map[string]struct {
		change func(*mailer.Server)
		to     string
		kind   cdp.Kind
	}{
		"refused":       {func(*mailer.Server) {}, "nobody@example.com", cdp.Invalid},
		"for now":       {func(*mailer.Server) {}, "later@example.com", cdp.Transient},
		"no address":    {func(*mailer.Server) {}, "Ann <ann@example.com>", cdp.Invalid},
		"two lines":     {func(*mailer.Server) {}, "ann@example.com\r\nDATA", cdp.Invalid},
		"not there":     {func(s *mailer.Server) { s.Address = gone.Addr().String() }, "ann@example.com", cdp.Transient},
		"no port":       {func(s *mailer.Server) { s.Address = "mail" }, "ann@example.com", cdp.Invalid},
		"no STARTTLS":   {func(s *mailer.Server) { s.Security = "" }, "ann@example.com", cdp.Invalid},
		"other roots":   {func(s *mailer.Server) { s.Address, s.Security = secure.Addr().String(), "" }, "ann@example.com", cdp.Invalid},
		"wrong account": {func(s *mailer.Server) { s.Username, s.Password = "tidemark", "guess" }, "ann@example.com", cdp.Invalid},
	} {
		s := ok
		c.change(&s)
		if err := s.Send(t.Context(), mailer.Message{ID: "1", To: []string{c.to}}); !cdp.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, line := range secure.log {
		if strings.HasPrefix(line, "AUTH") {
			t.Error("the password went to a server with another certificate")
		}
	}
}
