package vcsim

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// Site is a running vCenter. All its methods may be called at any time from any
// goroutine, but not from a hook, unless they say so.
//
// A method's VM is given by its name, its instance UUID or its managed object's
// value.
type Site struct {
	cfg   Config
	model *simulator.Model
	svc   *simulator.Service
	cert  tls.Certificate
	// instance is about.instanceUuid.
	instance string

	// The server.
	front   *front
	httpd   *http.Server
	serving sync.WaitGroup
	addr    string

	// storage is held by every task that touches a datastore, and by guest
	// writes. It is taken before any lock of the simulator's.
	storage sync.Mutex
	// shape is held while VMs and folders come, go or move, and while they are
	// walked, which the simulator does without their locks. It is taken after
	// storage.
	shape sync.Mutex
	tasks sync.WaitGroup

	// mu guards what follows. Images change only with storage held as well.
	mu       sync.Mutex
	vms      map[types.ManagedObjectReference]*vmState
	images   map[string]*image // by the datastore path of every node
	leases   map[string]*simulator.HttpNfcLease
	policies map[string]string // profile id: filter
	closing  chan struct{}
	closed   bool

	gate   *gate
	guests *guests
	fresh  *newVMs
	iof    *filterManager // nil on ESX
	clocks map[string]*hostClock
}

// Start builds the site and serves it.
func Start(cfg Config) (*Site, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Site{
		cfg:      cfg,
		vms:      map[types.ManagedObjectReference]*vmState{},
		images:   map[string]*image{},
		leases:   map[string]*simulator.HttpNfcLease{},
		policies: map[string]string{},
		closing:  make(chan struct{}),
		clocks:   map[string]*hostClock{},
	}
	s.gate, s.guests = newGate(s), newGuests(cfg.OnProgram)
	if err = s.identify(); err != nil {
		return nil, err
	}
	if err = s.build(); err != nil {
		return nil, fmt.Errorf("vspheretest: build %s: %w", cfg.Name, err)
	}
	if err = s.restore(); err != nil {
		return nil, fmt.Errorf("vspheretest: %s: %w", cfg.Name, err)
	}
	if err = s.serve(); err != nil {
		return nil, fmt.Errorf("vspheretest: serve %s: %w", cfg.Name, err)
	}
	return s, nil
}

// NewSite starts a site for one test. It has its own directory unless the config
// names one, and is closed at the end of the test.
func NewSite(t testing.TB, cfg Config) *Site {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Close stops the server and waits for all requests and tasks. Guests are not
// stopped.
func (s *Site) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.closing)
	s.mu.Unlock()
	s.stopServing()
	s.tasks.Wait()
	s.guests.close()
	s.model.Remove()
}

// Name is the site's name.
func (s *Site) Name() string { return s.cfg.Name }

// Config is the site's configuration with its defaults filled in.
func (s *Site) Config() Config { return s.cfg }

// context is a new simulator context. Object locks are per context, so nothing may
// use the service's own.
func (s *Site) context() *simulator.Context {
	c := *s.svc.Context
	return &c
}

func (s *Site) registry() *simulator.Registry { return s.svc.Context.Map }

// sleep waits for d, or for the site to be closed.
func (s *Site) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.closing:
	}
}

// inside marks the calls that the site makes to itself: injected faults do not
// apply to them.
type inside struct{}

func insideContext() context.Context { return context.WithValue(context.Background(), inside{}, true) }
