package vault_test

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// pebbleWorld is the real store on a file system in memory that loses, in a
// crash, a random part of what was not synced.
type pebbleWorld struct {
	fs    *vfs.MemFS
	r     *vaulttest.MemReplica
	db    *pebblestore.DB
	disks []cdp.Disk
	bulk  int
}

func (w *pebbleWorld) store() (vault.Store, error) {
	var err error
	w.db, err = pebblestore.Open("journal", pebblestore.Options{FS: w.fs, BulkBytes: w.bulk, MemTableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		return nil, err
	}
	if has, ok, err := w.db.Known("g"); err != nil {
		return nil, err
	} else if ok { // they may have grown
		w.disks = has
	}
	return w.db.Group("g", w.disks)
}

func (w *pebbleWorld) replica() *vaulttest.MemReplica { return w.r }

func (w *pebbleWorld) crash(rng *rand.Rand) error {
	w.r.Crash(func() bool { return rng.IntN(2) == 0 })
	clone := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	if err := w.db.Close(); err != nil {
		return err
	}
	w.fs = clone
	return nil
}

func (w *pebbleWorld) close() error { return w.db.Close() }

// The same lives over the real store, with power failures that keep what was
// synced and a random part of the rest.
func TestEveryPointReadsBackFromPebble(t *testing.T) {
	seed := seedtest.Seed(t)
	for i := range max(1, *histories/15) {
		if *only >= 0 && i != *only {
			continue
		}
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		err := life(rng, func(disks []cdp.Disk) (world, error) {
			return &pebbleWorld{fs: vfs.NewCrashableMem(), r: vaulttest.NewMemReplica(disks), disks: disks, bulk: 1 << (10 + rng.IntN(8))}, nil
		}, false)
		if err != nil {
			t.Fatalf("history %d (-seed %d -only %d): %v", i, seed, i, err)
		}
	}
}
