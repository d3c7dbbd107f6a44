package bus

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tidemark.dev/pkg/cdp"
)

// words are the last that an embedded server said about why a link was refused, by this
// site or by its peer. It is the server's logger: nobody else reads what the server logs.
type words struct {
	mu   sync.Mutex
	said string
	at   time.Time
}

var _ server.Logger = (*words)(nil)

// Errorf implements server.Logger.
func (w *words) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if cause, _ := explained(text); cause == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said, w.at = text, time.Now()
}

// Noticef, Warnf, Fatalf, Debugf and Tracef implement server.Logger.
func (w *words) Noticef(string, ...any) {}
func (w *words) Warnf(string, ...any)   {}
func (w *words) Fatalf(string, ...any)  {}
func (w *words) Debugf(string, ...any)  {}
func (w *words) Tracef(string, ...any)  {}

// last is what was said in the last moments, empty for nothing: a link is tried again
// every second or so.
func (w *words) last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.at) > 15*time.Second {
		return ""
	}
	return w.said
}

// LinkTrouble is why sites that are linked with this one cannot meet it, as far as trying
// again does not help: keys, certificates or accounts that do not fit. It is nil while
// all links are up, and where a peer merely does not answer.
func (s *Server) LinkTrouble() error {
	if s.Joined() >= s.links {
		return nil
	}
	said := s.words.last()
	cause, hint := explained(said)
	if cause == "" {
		return nil
	}
	return cdp.Errorf(cdp.Invalid, "join sites", string(s.site), "the sites cannot meet: %s (%s)", cause, said).WithHint(hint)
}

// explained is what a server's words about a link mean, and what to do; empty for
// words about anything else.
func explained(said string) (cause, hint string) {
	has := func(any ...string) bool {
		for _, x := range any {
			if strings.Contains(strings.ToLower(said), x) {
				return true
			}
		}
		return false
	}
	const certificates = "both sites need certificates of one authority (tls: in up.yaml), valid now and for the host that is dialled; see: openssl x509 -noout -text -in CERT"
	switch {
	case !has("leaf", "lid:"):
		return "", ""
	case has("certificate has expired", "not yet valid"):
		return "a certificate is not valid now", certificates
	case has("x509: certificate is valid for", "cannot validate certificate for", "not valid for any names"):
		return "the peer's certificate is for another host", certificates
	case has("unknown authority", "bad certificate", "unknown certificate"):
		return "their certificates are of different authorities", certificates
	case has("certificate required", "didn't provide a certificate"):
		return "one of them presents no certificate", certificates
	case has("tls handshake error", "tls: ", "first record does not look like a tls handshake"):
		return "one of them uses TLS and the other does not, or they share no version of it", certificates
	case has("authorization violation", "authentication error", "authentication timeout"):
		return "the site that is dialled does not know the key of the one that dials",
			"print the key where the link begins: tidemark site keys --config FILE SITE; and put it into the link at the other site, as key:"
	case has("lookup account", "loop detected", "same cluster name"):
		return "their names do not fit", "name the sites alike in both files, each site once: accounts are made of the names of sites, and links form a tree"
	}
	return "", ""
}
