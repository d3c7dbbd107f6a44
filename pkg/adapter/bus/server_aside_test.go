package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/subjects"
)

// A bit flips in what a stopped server keeps of a consumer or of a stream. It starts
// and names the file; everything that the site needs can be made again, and what was
// stored is still there.
func TestADamagedDescriptionIsSetAside(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t)
	b, err := bus.OpenBucket[thing](t.Context(), s.Connect("dr", "scheduler"), "dr", subjects.BucketSpec, "job")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), "vm1", thing{1}); err != nil {
		t.Fatal(err)
	}
	streams := filepath.Join(s.Config("dr").StoreDir, "jetstream", "APP", "streams")
	for _, c := range []struct {
		file, word string // the word in it that is damaged; empty: its first byte
		aside      string
	}{
		{"EVT/obs/copy_dr_prod/meta.inf", "ack_policy", "EVT/obs/copy_dr_prod"},
		{"EVT/obs/copy_dr_prod/meta.sum", "", "EVT/obs/copy_dr_prod"},
		{"KV_tidemark-spec/obs/copy_dr_prod/o.dat", "", "KV_tidemark-spec/obs/copy_dr_prod"},
		{"KV_tidemark-spec/obs/copy_dr_prod/meta.inf", "durable", "KV_tidemark-spec/obs/copy_dr_prod"},
		{"KV_tidemark-spec/meta.inf", "retention", "KV_tidemark-spec/meta.inf"},
		{"KV_tidemark-spec/meta.sum", "", "KV_tidemark-spec/meta.inf"},
	} {
		s.DR.Close()
		flipWord(t, filepath.Join(streams, c.file), c.word)
		s.StartDR()
		if got := s.DR.SetAside(); !slices.ContainsFunc(got, func(p string) bool { return strings.HasSuffix(p, c.aside) }) {
			t.Errorf("%s: set aside: %v", c.file, got)
		}
		setup := s.Connect("dr", subjects.Setup)
		if err := errors.Join(bus.EnsureSite(t.Context(), setup), bus.EnsurePeer(t.Context(), setup, "prod")); err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		b, err := bus.OpenBucket[thing](t.Context(), s.Connect("dr", "scheduler"), "dr", subjects.BucketSpec, "job")
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		if got, err := b.Get(t.Context(), "vm1"); err != nil || got.Value.N != 1 {
			t.Fatalf("%s: the value is %+v, %v", c.file, got, err)
		}
	}
	s.DR.Close()
	s.StartDR()
	if got := s.DR.SetAside(); len(got) != 0 {
		t.Errorf("nothing is damaged any more, and %v is set aside", got)
	}
}

// flipWord flips a bit of a word in a file, or of its first byte.
func flipWord(t *testing.T, path, word string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(raw), word)
	if at < 0 {
		t.Fatalf("%s has no %q", path, word)
	}
	raw[at] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
