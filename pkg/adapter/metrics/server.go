package metrics

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tidemark.dev/pkg/cdp"
)

// Server answers for all sites of a process. A nil one is switched off: it takes
// everything and answers nobody. It is safe for concurrent use.
type Server struct {
	lis       net.Listener
	latencies latencies

	mu      sync.Mutex
	started bool
	expects map[string]func(context.Context) error // by the name that people see
	sources map[int]func(series)
	next    int
}

// Listen takes an address, host:port. Without a host it is on the loopback interface.
// An empty one gives nil.
func Listen(addr string) (*Server, error) {
	if addr == "" {
		return nil, nil
	}
	const op = "listen for monitoring"
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		e := &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: addr, Cause: err}
		return nil, e.WithHint("name host:port, such as 127.0.0.1:9464")
	}
	if host == "" {
		host = "127.0.0.1"
	}
	lis, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		e := &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: addr, Cause: err}
		return nil, e.WithHint("choose an address of this machine whose port is free: each process needs its own")
	}
	return &Server{lis: lis, latencies: newLatencies(), expects: map[string]func(context.Context) error{}, sources: map[int]func(series){}}, nil
}

// Addr is where it answers, with the port that was chosen.
func (s *Server) Addr() string { return s.lis.Addr().String() }

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if s == nil {
		return nil
	}
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(s.lis); ctx.Err() == nil {
		return &cdp.Error{Op: "answer monitoring", Kind: cdp.Transient, Subject: s.Addr(), Cause: err}
	}
	return nil
}

func (s *Server) handler() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(s, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg, ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	return mux
}

// Expect has readiness depend on ping, which returns nil if the named service takes
// requests now.
func (s *Server) Expect(name string, ping func(context.Context) error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expects[name] = ping
}

// Started says that every service of the process is expected: until then it is not
// ready.
func (s *Server) Started() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
}

// readyz pings all services at once, so that one that hangs costs the time of one.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	started, expects := s.started, maps.Clone(s.expects)
	s.mu.Unlock()
	if !started {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTime)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var missing []string
	for name, ping := range expects {
		wg.Go(func() {
			if err := ping(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, name+": "+err.Error())
			}
		})
	}
	wg.Wait()
	if len(missing) > 0 {
		slices.Sort(missing)
		http.Error(w, strings.Join(missing, "\n"), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// source has each scrape call collect until remove is called.
func (s *Server) source(collect func(series)) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next
	s.next++
	s.sources[id] = collect
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sources, id)
	}
}

// Describe and Collect make it a prometheus.Collector.
func (s *Server) Describe(to chan<- *prometheus.Desc) {
	for _, d := range all {
		to <- d
	}
	for _, h := range s.latencies.all() {
		h.Describe(to)
	}
}

// Collect asks all services at once.
func (s *Server) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	sources := maps.Clone(s.sources)
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, collect := range sources {
		wg.Go(func() { collect(to) })
	}
	wg.Wait()
	for _, h := range s.latencies.all() {
		h.Collect(to)
	}
}

var _ prometheus.Collector = (*Server)(nil)
