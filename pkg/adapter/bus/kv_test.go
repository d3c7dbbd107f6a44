package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
)

type thing struct {
	N int `json:"n"`
}

func open(t *testing.T, b *bus.Bucket[thing], err error) *bus.Bucket[thing] {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// buckets opens the jobs of dr at dr, and their copy at prod.
func buckets(t *testing.T, dr, prod *bus.Conn) (own, near *bus.Bucket[thing]) {
	t.Helper()
	b, err := bus.OpenBucket[thing](t.Context(), dr, "dr", subjects.BucketSpec, "job")
	own = open(t, b, err)
	b, err = bus.OpenPeerBucket[thing](t.Context(), prod, "dr", subjects.BucketSpec, "job")
	return own, open(t, b, err)
}

// A bucket is written at its own site only. The peer's copy follows, and
// answers while the link is down.
func TestBucketAcrossSites(t *testing.T) {
	ctx := t.Context()
	s := bustest.Start(t, bustest.Secured)
	own, near := buckets(t, s.Connect("dr", "setup"), s.Connect("prod", "setup"))
	other, _ := buckets(t, s.Connect("dr", "setup"), s.Connect("prod", "setup"))
	if _, err := bus.OpenBucket[thing](ctx, s.Connect("prod", "setup"), "dr", subjects.BucketSpec, "job"); !cdp.Is(err, cdp.Invalid) || cdp.HintOf(err) == "" {
		t.Fatalf("a peer's bucket was opened: %v", err)
	}
	if _, err := near.Put(ctx, "vm1", thing{9}); err == nil {
		t.Fatal("a copy was written to")
	}

	if _, err := own.Get(ctx, "vm1"); !cdp.Is(err, cdp.NotFound) {
		t.Fatalf("got %v", err)
	}
	rev, err := own.Create(ctx, "vm1", thing{1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Create(ctx, "vm1", thing{1}); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("got %v", err)
	}
	if rev, err = other.Update(ctx, "vm1", thing{2}, rev); err != nil {
		t.Fatal(err)
	}
	if _, err := own.Update(ctx, "vm1", thing{3}, rev-1); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("got %v", err)
	}
	bustest.Eventually(t, "copied", func() bool { e, err := near.Get(ctx, "vm1"); return err == nil && e.Value.N == 2 })

	s.Link.Cut()
	bustest.Eventually(t, "cut", func() bool { return s.Prod.Joined() == 0 })
	if e, err := near.Get(ctx, "vm1"); err != nil || e.Value.N != 2 {
		t.Fatal(e, err)
	}
	if _, err = own.Update(ctx, "vm1", thing{4}, rev); err != nil {
		t.Fatal(err)
	}
	s.Link.Heal()
	bustest.Eventually(t, "caught up", func() bool { e, err := near.Get(ctx, "vm1"); return err == nil && e.Value.N == 4 })
}

func TestWatchAndListACopy(t *testing.T) {
	ctx := t.Context()
	s := bustest.Start(t, bustest.Secured)
	own, near := buckets(t, s.Connect("dr", "setup"), s.Connect("prod", "setup"))
	rev, err := own.Create(ctx, "vm1", thing{2})
	if err == nil {
		rev, err = own.Update(ctx, "vm1", thing{4}, rev)
	}
	if err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, "copied", func() bool { e, err := near.Get(ctx, "vm1"); return err == nil && e.Value.N == 4 })
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen, synced := 0, make(chan int, 1)
	done := make(chan error, 1)
	go func() {
		done <- near.Watch(wctx, func() { synced <- seen }, func(e bus.Entry[thing]) error {
			seen++
			if e.Deleted && e.Key == "vm1" {
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
	if _, err := own.Put(ctx, "vm0", thing{7}); err != nil {
		t.Fatal(err)
	}
	all, err := own.All(ctx)
	if err != nil || len(all) != 2 || all[0].Key != "vm0" || all[0].Value.N != 7 || all[1].Key != "vm1" || all[1].Revision != rev {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := own.Delete(ctx, "vm0", 0); err != nil {
		t.Fatal(err)
	}
	if all, err = own.All(ctx); err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := own.Delete(ctx, "vm1", rev-1); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("got %v", err)
	}
	if err := own.Delete(ctx, "vm1", rev); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != context.Canceled || seen != 4 {
		t.Fatal(seen, err)
	}
}

func TestEnsureIsRepeatableAndNeedsNoPeer(t *testing.T) {
	s, err := bus.StartServer(t.Context(), bus.ServerConfig{Site: "prod", StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, err := bus.Connect(t.Context(), bus.Config{Site: "prod", Name: "setup", Server: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for range 2 {
		if err := bus.EnsureSite(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := bus.EnsurePeer(t.Context(), c, "dr"); err != nil {
			t.Fatal(err)
		}
	}
	if unlike, err := bus.Unlike(t.Context(), c, "dr"); len(unlike) > 0 || err != nil {
		t.Errorf("these would be updated at each start: %v, %v", unlike, err)
	}
	if err := bus.EnsurePeer(t.Context(), c, "prod"); !cdp.Is(err, cdp.Invalid) {
		t.Fatal(err)
	}
}

// A stream is updated only if something of it is not as wanted.
func TestAStreamThatIsAsWantedIsLeftAlone(t *testing.T) {
	want := jetstream.StreamConfig{Name: "X", Subjects: []string{"x.>"}, MaxBytes: 1 << 20, Sources: []*jetstream.StreamSource{{Name: "Y"}}}
	have := want
	have.Replicas, have.MaxMsgs, have.MaxConsumers, have.MaxMsgSize, have.MaxMsgsPerSubject = 1, -1, -1, -1, -1
	have.Duplicates, have.Metadata = 2*time.Minute, map[string]string{"_nats.level": "1"}
	if !bus.AsWanted(want, have) {
		t.Error("what the server adds counts as a difference")
	}
	for what, change := range map[string]func(*jetstream.StreamConfig){
		"a smaller limit": func(c *jetstream.StreamConfig) { c.MaxBytes = 1 },
		"a limit of age":  func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"no source":       func(c *jetstream.StreamConfig) { c.Sources = nil },
		"another subject": func(c *jetstream.StreamConfig) { c.Subjects = []string{"y.>"} },
	} {
		other := have
		change(&other)
		if bus.AsWanted(want, other) {
			t.Error("not seen:", what)
		}
	}
}

// A value that cannot be read is set aside: what the key had before stays in force,
// and the key can be written over. It stops neither a list nor a watch.
func TestAValueThatCannotBeReadIsSetAside(t *testing.T) {
	ctx := t.Context()
	s := bustest.Start(t, bustest.Secured)
	own, near := buckets(t, s.Connect("dr", "setup"), s.Connect("prod", "setup"))
	for key, n := range map[string]int{"a": 1, "b": 2, "c": 3} {
		if _, err := own.Put(ctx, key, thing{n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := own.Delete(ctx, "c", 0); err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{"b": "{", "c": "\xff", "d": "[]"}
	for key, value := range bad {
		bustest.Spoil(t, s.DR.ClientURL(), s.Credential("dr", "setup"), map[string]string{"$KV." + subjects.BucketSpec + ".job." + key: value})
	}
	for _, b := range []*bus.Bucket[thing]{own, near} {
		bustest.Eventually(t, "all values", func() bool { all, err := b.All(ctx); return err == nil && len(all) == 4 && all[1].Bad != nil })
		seen := map[string]bus.Entry[thing]{}
		if err := b.Watch(ctx, nil, func(e bus.Entry[thing]) error {
			if seen[e.Key] = e; len(seen) == 4 {
				return context.Canceled
			}
			return nil
		}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if x := seen["b"]; x.Bad == nil || x.Lost || x.Value.N != 2 {
			t.Errorf("the value before is not in force: %+v", x)
		}
		if x := seen["c"]; !x.Lost || x.Deleted {
			t.Errorf("a deleted value came back: %+v", x)
		}
		if x := seen["d"]; !x.Lost || x.Bad == nil {
			t.Errorf("%+v", x)
		}
		if e, err := b.Get(ctx, "b"); err != nil || e.Value.N != 2 {
			t.Error(e, err)
		}
		if e, err := b.Get(ctx, "d"); !cdp.Is(err, cdp.Corrupt) || e.Revision == 0 {
			t.Error(e, err)
		}
	}
	for key := range bad {
		e, _ := own.Get(ctx, key)
		if _, err := own.Update(ctx, key, thing{9}, e.Revision); err != nil {
			t.Error(key, err)
		}
	}
}
