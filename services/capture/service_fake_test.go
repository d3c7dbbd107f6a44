package capture

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/spoolshare"
)

// site is what a capture service at prod finds around it: a bus whose streams
// are bus's, and jobs that the test sends. It is the service's ports.
type site struct {
	bus     *bus
	deleted []cdp.GroupID // streams
	mu      sync.Mutex
	facts   []event.Payload
}

// newService is a service at prod, in a directory of its own.
func newService(t *testing.T, edit func(*Deps)) (*Service, *site) {
	t.Helper()
	x := &site{bus: newBus(1)}
	dir := t.TempDir()
	deps := Deps{Site: "prod", Jobs: x, Runs: noRuns{}, TapBase: x, Streams: x, Epochs: epochs{x.bus}, Journal: journal{x.bus},
		Servers: nbdServers{}, Disk: openFile, Events: x, Boot: "boot-1"}
	if edit != nil {
		edit(&deps)
	}
	s, err := New(Config{StateDir: filepath.Join(dir, "state"), WindowDir: filepath.Join(dir, "window"), ApplyRetry: time.Millisecond}, deps)
	if err != nil {
		t.Fatal(err)
	}
	return s, x
}

// run runs the service until the test ends.
func runService(t *testing.T, s *Service) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ctx
}

func (x *site) Watch(ctx context.Context, _ func(cdp.Site, string, *spec.ReplicationJob) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (x *site) Wanted(context.Context, string) (bool, error) { return false, nil }

type noRuns struct{}

func (noRuns) Watch(ctx context.Context, _ func(cdp.Site, string, bool) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (x *site) Address(context.Context) (string, error) { return "", nil }

func (x *site) Open(context.Context, cdp.GroupID, cdp.Site) (Stream, error) { return x.bus.open(), nil }

func (x *site) Delete(_ context.Context, g cdp.GroupID) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.deleted = append(x.deleted, g)
	return nil
}

func (x *site) Use() api.SpoolUse { return spoolshare.Default.Divide(0) }

func (x *site) Emit(_ context.Context, p event.Payload) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.facts = append(x.facts, p)
	return nil
}
