package vault_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// Store the writes of a disk, and read the disk as it was at an older point,
// while the replica holds the newest.
func Example() {
	if err := storeAndRead(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// p1 at write 1: high tide
	// p2 at write 2: low tide!
}

func storeAndRead() error {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "vault")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	disks := []cdp.Disk{{ID: 0, Name: "root", Size: 1 << 20}}
	db, err := pebblestore.Open(filepath.Join(dir, "store"), pebblestore.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	store, err := db.Group("shop", disks)
	if err != nil {
		return err
	}
	images, err := replica.Open(disks, []string{filepath.Join(dir, "root.img")}, true)
	if err != nil {
		return err
	}
	defer images.Close()

	journal, err := vault.Open(ctx, disks, store, images, vault.Config{})
	if err != nil {
		return err
	}
	defer journal.Close()
	var last frame.Header
	for _, text := range []string{"high tide", "low tide!"} {
		if last, err = storeWrite(journal, last, text); err != nil {
			return err
		}
	}
	// Bring the replica up to the newest write; older points stay readable.
	if err := journal.Raise(ctx, journal.Bounds().Head); err != nil {
		return err
	}
	for _, p := range journal.Points() {
		view, err := journal.View(p.Seq)
		if err != nil {
			return err
		}
		text := make([]byte, 9)
		if err := view.ReadAt(0, text, 4096); err != nil {
			return err
		}
		fmt.Printf("%s at write %d: %s\n", p.ID(), p.Seq, text)
		if err := view.Close(); err != nil {
			return err
		}
	}
	return nil
}

// storeWrite stores a frame of one write, at offset 4096 of disk 0, which is a
// recovery point. The frame continues the one before it.
func storeWrite(journal *vault.Group, last frame.Header, text string) (frame.Header, error) {
	h := frame.Header{Epoch: 1, No: last.No + 1, First: 1, Prev: last.Hash, Sealed: time.Now().UnixNano(),
		Flags: frame.Consistent | frame.Marker}
	if last.No == 0 {
		h.Flags |= frame.ExtentStart
	} else {
		h.First = last.Last() + 1
	}
	sector := make([]byte, cdp.SectorSize)
	copy(sector, text)
	b := frame.NewBuilder(make([]byte, frame.SlotSize))
	b.Append(frame.Record{Disk: 0, Offset: 4096, Length: cdp.SectorSize, Kind: frame.Write}, sector)

	f, verdict, why, err := journal.Offer(b.Seal(h).Bytes())
	if err != nil {
		return last, err
	}
	if why != "" {
		return last, fmt.Errorf("%s: %s", verdict, why)
	}
	batch, err := journal.Prepare([]frame.Frame{f})
	if err == nil {
		_, err = batch.Commit()
	}
	return f.Header, err
}
