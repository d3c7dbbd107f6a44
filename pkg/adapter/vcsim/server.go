package vcsim

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// The simulator's own server cannot be restarted without losing the REST state
// (tags), and its Close waits for long polls. So it only builds the mux, and a
// plain http.Server of ours serves that.
func (s *Site) serve() error {
	s.svc.TLS = &tls.Config{Certificates: []tls.Certificate{s.cert}}
	s.svc.Listen = &url.URL{Host: s.cfg.Listen, User: url.UserPassword(s.cfg.User, s.cfg.Password)}
	s.svc.RegisterEndpoints = true
	s.svc.HandleFunc("GET /folder/", s.serveFolder)
	s.svc.HandleFunc("HEAD /folder/", s.serveFolder)
	s.svc.HandleFunc("PUT /folder/", s.serveFolder)
	s.svc.HandleFunc("POST /folder/", s.serveFolder)
	s.svc.HandleFunc("GET /guest/", s.serveGuest)
	s.svc.HandleFunc("PUT /guest/", s.serveGuest)
	s.svc.HandleFunc("PUT /nfc/", s.serveUpload)
	s.svc.HandleFunc("POST /nfc/", s.serveUpload)
	if err := probeListen(s.cfg.Listen); err != nil {
		return err // the simulator would panic
	}
	buildMu.Lock() // registering endpoints reads package globals of the simulator
	stock := s.svc.NewServer()
	buildMu.Unlock()
	s.addr = stock.URL.Host
	stock.Close()
	s.registerPolicies()
	s.front = &front{next: s.svc.ServeMux, tokens: map[string]bool{}}
	return s.startServing()
}

func probeListen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}

func (s *Site) startServing() error {
	var l net.Listener
	var err error
	for range 100 { // the port may be somebody's for a moment
		if l, err = net.Listen("tcp", s.addr); err == nil {
			break
		}
		s.sleep(50 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	s.httpd = &http.Server{
		Handler:   s.front,
		TLSConfig: s.svc.TLS.Clone(),
		ErrorLog:  log.New(panics{}, "", 0),
	}
	s.httpd.TLSConfig.ClientAuth = tls.RequestClientCert
	srv := s.httpd
	s.serving.Go(func() { _ = srv.ServeTLS(l, "", "") })
	return nil
}

// panics passes on those complaints of the HTTP server that must not be missed: a
// handler that panicked. The others are about connections.
type panics struct{}

func (panics) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("panic")) {
		return os.Stderr.Write(p)
	}
	return len(p), nil
}

// stopServing closes every connection, ends the long polls and waits for the
// handlers.
func (s *Site) stopServing() {
	_ = s.httpd.Close()
	done := make(chan struct{})
	go func() { s.front.requests.Wait(); close(done) }()
	for {
		s.gate.cancelPolls()
		select {
		case <-done:
			s.serving.Wait()
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Restart restarts vCenter's services: all connections are closed, and it comes
// back at the same address with the same inventory. With dropSessions, clients must
// log in again.
func (s *Site) Restart(dropSessions bool) error {
	s.stopServing()
	if dropSessions {
		s.ExpireSessions()
	}
	return s.startServing()
}

// Stop takes the site off the network until Resume, like a dead vCenter. Guests
// keep running.
func (s *Site) Stop() { s.stopServing() }

// Resume ends Stop.
func (s *Site) Resume() error { return s.startServing() }

// ExpireSessions logs everybody out.
func (s *Site) ExpireSessions() {
	ctx := s.context()
	if sm, ok := ctx.Session.Get(s.registry().SessionManager().Self).(*simulator.SessionManager); ok {
		for _, x := range sm.SessionList {
			sm.TerminateSession(ctx, &types.TerminateSession{SessionId: []string{x.Key}})
		}
	}
	s.front.revoke()
}

func (s *Site) sessionLives(key string) bool {
	ctx := s.context()
	sm, ok := ctx.Session.Get(s.registry().SessionManager().Self).(*simulator.SessionManager)
	if !ok || key == "" {
		return false
	}
	for _, x := range sm.SessionList {
		if x.Key == key {
			return true
		}
	}
	return false
}

// front runs before the simulator's handlers. It counts requests, so that they can
// be waited for, and tracks REST sessions, which the simulator never expires.
type front struct {
	next     http.Handler
	requests sync.WaitGroup

	mu     sync.Mutex
	tokens map[string]bool // seen: true is good, false is revoked
}

const restCookie = "vmware-api-session-id"

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests.Add(1)
	defer f.requests.Done()
	token := r.Header.Get(restCookie)
	if c, err := r.Cookie(restCookie); token == "" && err == nil {
		token = c.Value
	}
	if token != "" {
		f.mu.Lock()
		good, seen := f.tokens[token]
		if !seen {
			f.tokens[token] = true
		}
		f.mu.Unlock()
		_, _, basic := r.BasicAuth()
		if seen && !good && !basic {
			http.Error(w, "session expired", http.StatusUnauthorized)
			return
		}
		if seen && !good {
			r.Header.Del("Cookie")
			r.Header.Del(restCookie)
		}
	}
	f.next.ServeHTTP(w, r)
}

func (f *front) revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for t := range f.tokens {
		f.tokens[t] = false
	}
}

// URL is https://host:port/sdk, without user info.
func (s *Site) URL() string { return "https://" + s.addr + "/sdk" }

// User and Password are the login.
func (s *Site) User() string     { return s.cfg.User }
func (s *Site) Password() string { return s.cfg.Password }

// Thumbprint is the SHA-256 of the certificate as "AA:BB:...".
func (s *Site) Thumbprint() string {
	sum := sha256.Sum256(s.cert.Certificate[0])
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// CertPEM is the self-signed certificate: it is its own CA.
func (s *Site) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Certificate[0]})
}
