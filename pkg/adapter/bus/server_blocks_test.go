package bus_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/seedtest"
)

// A bit flips in the file that holds a bucket's values while the server is stopped.
// It is put right. When two bits flip in a value, that one is set aside, and the
// others are there.
func TestADamagedMessageCostsNoOther(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 5))
	s := bustest.Start(t)
	values := func() *bus.Bucket[thing] {
		b, err := bus.OpenBucket[thing](t.Context(), s.Connect("dr", "scheduler"), "dr", subjects.BucketSpec, "job")
		return open(t, b, err)
	}
	b := values()
	for i := range 5 {
		if _, err := b.Put(t.Context(), fmt.Sprintf("vm%d", i), thing{i}); err != nil {
			t.Fatal(err)
		}
	}
	store := s.Config("dr").StoreDir
	block := filepath.Join(store, "jetstream", "APP", "streams", "KV_tidemark-spec", "msgs", "1.blk")
	s.DR.Close()
	whole, err := os.ReadFile(block)
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		raw := bytes.Clone(whole)
		at, bit := rng.IntN(len(raw)), rng.IntN(8)
		raw[at] ^= 1 << bit
		if err := os.WriteFile(block, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := bus.MendBlocks(store)
		if err != nil || len(said) != 1 {
			t.Errorf("byte %d, bit %d: %q, %v", at, bit, said, err)
		}
		if raw, err = os.ReadFile(block); err != nil || !bytes.Equal(raw, whole) {
			t.Fatalf("byte %d, bit %d: the file is not as it was; %q, %v", at, bit, said, err)
		}
	}
	raw := bytes.Clone(whole)
	at := strings.Index(string(raw), `{"n":2}`)
	raw[at+2] ^= 1
	raw[at+5] ^= 4
	if err := os.WriteFile(block, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s.StartDR()
	b = values()
	for i := range 5 {
		e, err := b.Get(t.Context(), fmt.Sprintf("vm%d", i))
		if i == 2 && cdp.Is(err, cdp.Corrupt) || i != 2 && err == nil && e.Value.N == i {
			continue
		}
		t.Errorf("vm%d is %+v, %v", i, e, err)
	}
}
