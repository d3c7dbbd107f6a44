package node

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

type note struct {
	N int `json:"n"`
}

// bucket opens the jobs of a site, at a site.
func bucket(t *testing.T, s *bustest.Sites, at, of cdp.Site) *bus.Bucket[note] {
	t.Helper()
	open := bus.OpenBucket[note]
	if at != of {
		open = bus.OpenPeerBucket[note]
	}
	b, err := open(t.Context(), s.Connect(at, "setup"), of, subjects.BucketSpec, "job")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The disk of a site's NATS store is full while its services, and those of its peer,
// write. Once there is room both go on, with what was acknowledged, and nobody has to
// restart anynote.
func TestAFullDiskStopsTheStoreOnlyWhileItIsFull(t *testing.T) {
	disk := smallDisk(t, "32m")
	s := bustest.Start(t, func(_, dr *bus.ServerConfig) { dr.StoreDir = filepath.Join(disk, "nats") })
	own, near := bucket(t, s, "dr", "dr"), bucket(t, s, "prod", "dr")
	theirs, copied := bucket(t, s, "prod", "prod"), bucket(t, s, "dr", "prod")
	if _, err := own.Put(t.Context(), "kept", note{1}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said []error
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		s.DR.KeepStore(ctx, 20*time.Millisecond, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, err)
		})
	})
	t.Cleanup(func() { stop(); wg.Wait() })
	heard := func(want func(error) bool) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(said) > 0 && want(said[len(said)-1])
		}
	}

	put := func(b *bus.Bucket[note], n int) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Put(ctx, "vm", note{n})
		return err
	}
	remove := fill(t, disk)
	n := 0
	bustest.Eventually(t, "a write that fails", func() bool { n++; return put(own, n) != nil })
	if err := put(theirs, 7); err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, "a report", heard(func(err error) bool { return cdp.Is(err, cdp.Full) && cdp.HintOf(err) != "" }))

	remove()
	bustest.Eventually(t, "a write", func() bool { return put(own, 1000) == nil })
	bustest.Eventually(t, "a report that all is well", heard(func(err error) bool { return err == nil }))
	if e, err := own.Get(t.Context(), "kept"); err != nil || e.Value.N != 1 {
		t.Errorf("what was written before is %+v, %v", e, err)
	}
	bustest.Eventually(t, "the peer's copy", func() bool { e, err := near.Get(t.Context(), "vm"); return err == nil && e.Value.N == 1000 })
	bustest.Eventually(t, "the copy of the peer", func() bool { e, err := copied.Get(t.Context(), "vm"); return err == nil && e.Value.N == 7 })
}
