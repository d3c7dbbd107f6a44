package bus

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
)

func startSite(t testing.TB, cfg ServerConfig) *Server {
	t.Helper()
	if cfg.StoreDir == "" {
		cfg.StoreDir = t.TempDir()
	}
	s, err := StartServer(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func connect(t testing.TB, s *Server, name string) *Conn {
	t.Helper()
	c, err := Connect(t.Context(), Config{Site: s.Site(), Name: name, Server: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// twoSites starts prod and dr, dr listening, joined.
func twoSites(t testing.TB) (prod, dr *Server) {
	t.Helper()
	dr = startSite(t, ServerConfig{Site: "dr", LeafListen: "127.0.0.1:0"})
	prod = startSite(t, ServerConfig{Site: "prod", LeafRemotes: []string{"nats-leaf://" + dr.LeafAddr()}})
	eventually(t, "joined", func() bool { return prod.Joined() == 1 })
	return prod, dr
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 15s: %s", what)
}

type thing struct {
	N int `json:"n"`
}

func TestBucketAcrossSites(t *testing.T) {
	ctx := t.Context()
	prod, dr := twoSites(t)
	cp, cd := connect(t, prod, "capture"), connect(t, dr, "journal")
	for _, f := range []func() error{
		func() error { return EnsurePeer(ctx, cp, "dr") }, // before the peer has anything
		func() error { return EnsureSite(ctx, cp) },
		func() error { return EnsureSite(ctx, cd) },
		func() error { return EnsurePeer(ctx, cd, "prod") },
		func() error { return EnsureSite(ctx, cd) },
		func() error { return EnsurePeer(ctx, cd, "prod") },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	own, err := OpenBucket[thing](ctx, cd, "dr", BucketSpec, "job")
	if err != nil {
		t.Fatal(err)
	}
	far, err := OpenBucket[thing](ctx, cp, "dr", BucketSpec, "job")
	if err != nil {
		t.Fatal(err)
	}
	near, err := OpenPeerBucket[thing](ctx, cp, "dr", BucketSpec, "job")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Get(ctx, "vm1"); !cdp.Is(err, cdp.NotFound) {
		t.Fatalf("got %v", err)
	}
	rev, err := own.Create(ctx, "vm1", thing{1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := far.Create(ctx, "vm1", thing{1}); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("got %v", err)
	}
	if rev, err = far.Update(ctx, "vm1", thing{2}, rev); err != nil {
		t.Fatal(err)
	}
	if _, err := own.Update(ctx, "vm1", thing{3}, rev-1); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("got %v", err)
	}
	eventually(t, "mirrored", func() bool { e, err := near.Get(ctx, "vm1"); return err == nil && e.Value.N == 2 })

	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	synced := make(chan int, 1)
	seen := 0
	done := make(chan error, 1)
	go func() {
		done <- near.Watch(wctx, func() { synced <- seen }, func(e Entry[thing]) error {
			seen++
			if e.Deleted {
				cancel()
			}
			return nil
		})
	}()
	if n := <-synced; n != 1 {
		t.Fatalf("synced after %d", n)
	}
	if keys, err := near.Keys(ctx); err != nil || len(keys) != 1 || keys[0] != "vm1" {
		t.Fatal(keys, err)
	}
	if err := own.Delete(ctx, "vm1", rev); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != context.Canceled {
		t.Fatal(err)
	}
	if seen != 2 {
		t.Fatal(seen)
	}
}
