package vaulttest

import (
	"maps"
	"slices"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

// MemReplica is sparse disk images in memory. Crash decides what is left of what
// was written since the last Sync.
type MemReplica struct {
	mu      sync.Mutex
	disks   []cdp.Disk
	now     map[memKey][cdp.SectorSize]byte // by sector; absent is zeros
	durable map[memKey][cdp.SectorSize]byte
	// Before is called before each write and sync; its error is theirs.
	Before func(what string) error
}

var _ vault.Replica = (*MemReplica)(nil)

// NewMemReplica returns images full of zeros.
func NewMemReplica(disks []cdp.Disk) *MemReplica {
	return &MemReplica{disks: disks, now: map[memKey][cdp.SectorSize]byte{}, durable: map[memKey][cdp.SectorSize]byte{}}
}

// Crash keeps, of each sector written since the last Sync, what keep says: the
// new content or the old one.
func (r *MemReplica) Crash(keep func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := map[memKey]bool{}
	for k, s := range r.now {
		if r.durable[k] != s {
			changed[k] = true
		}
	}
	for k, s := range r.durable {
		if r.now[k] != s {
			changed[k] = true
		}
	}
	for k := range changed {
		if keep() {
			r.durable[k] = r.now[k]
		}
	}
	r.now = maps.Clone(r.durable)
}

func (r *MemReplica) Size(disk cdp.DiskID) int64 { return r.disks[disk].Size }

// Grow makes the images larger.
func (r *MemReplica) Grow(disks []cdp.Disk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disks = slices.Clone(disks)
}

func (r *MemReplica) each(disk cdp.DiskID, n int, off int64, fn func(k memKey, at int)) {
	for at := 0; at < n; at += cdp.SectorSize {
		if s := off + int64(at); s < r.disks[disk].Size {
			fn(memKey{disk, uint64(s / cdp.SectorSize)}, at)
		}
	}
}

func (r *MemReplica) ReadAt(disk cdp.DiskID, p []byte, off int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(p)
	r.each(disk, len(p), off, func(k memKey, at int) {
		if s, ok := r.now[k]; ok {
			copy(p[at:], s[:])
		}
	})
	return nil
}

func (r *MemReplica) before(what string) error {
	if r.Before != nil {
		return r.Before(what)
	}
	return nil
}

func (r *MemReplica) WriteAt(disk cdp.DiskID, p []byte, off int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.before("replica write"); err != nil {
		return err
	}
	r.each(disk, len(p), off, func(k memKey, at int) { r.now[k] = [cdp.SectorSize]byte(p[at:]) })
	return nil
}

func (r *MemReplica) Zero(disk cdp.DiskID, off, n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.before("replica zero"); err != nil {
		return err
	}
	maps.DeleteFunc(r.now, func(k memKey, _ [cdp.SectorSize]byte) bool {
		s := int64(k.n) * cdp.SectorSize
		return k.disk == disk && off <= s && s < off+n
	})
	return nil
}

func (r *MemReplica) IsZero(disk cdp.DiskID, off, n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, c := range r.now {
		if s := int64(k.n) * cdp.SectorSize; k.disk == disk && off <= s && s < off+n && c != [cdp.SectorSize]byte{} {
			return false
		}
	}
	return true
}

func (r *MemReplica) Sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.before("replica sync"); err != nil {
		return err
	}
	r.durable = maps.Clone(r.now)
	return nil
}

// Flip changes a bit of what is stored, as a disk does that loses it.
func (r *MemReplica) Flip(disk cdp.DiskID, off int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := memKey{disk, uint64(off / cdp.SectorSize)}
	s := r.now[k]
	s[off%cdp.SectorSize] ^= 1
	r.now[k], r.durable[k] = s, s
}
