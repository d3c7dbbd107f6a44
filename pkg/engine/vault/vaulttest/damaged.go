package vaulttest

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// Damaged is a store some of whose frames cannot be read. Nobody may use it while the
// sets change.
type Damaged struct {
	vault.Store
	Headers  map[cdp.FrameNo]bool // with the table of the frame's writes
	Payloads map[cdp.FrameNo]bool
}

func (d Damaged) unreadable(no cdp.FrameNo) error {
	return cdp.Errorf(cdp.Corrupt, "read frames", "", "frame %d is damaged", no)
}

// Tables is the store's, up to the first damaged header.
func (d Damaged) Tables(from, to cdp.FrameNo, fn func(frame.Table) error) error {
	return d.Store.Tables(from, to, func(t frame.Table) error {
		if d.Headers[t.No] {
			return d.unreadable(t.No)
		}
		return fn(t)
	})
}

// Frames is the store's, up to the first damaged frame.
func (d Damaged) Frames(from, to cdp.FrameNo, fn func(frame.Table, []byte) error) error {
	return d.Store.Frames(from, to, func(t frame.Table, p []byte) error {
		if d.Headers[t.No] || d.Payloads[t.No] {
			return d.unreadable(t.No)
		}
		return fn(t, p)
	})
}

// Payload is the store's, unless that is damaged.
func (d Damaged) Payload(no cdp.FrameNo, off uint32, p []byte) error {
	if d.Payloads[no] {
		return d.unreadable(no)
	}
	return d.Store.Payload(no, off, p)
}

// DropDamaged drops nothing: what is in memory is never damaged.
func (m *MemStore) DropDamaged() (bool, error) { return false, nil }

// LoseIndex drops the index, as DropDamaged does with a damaged one.
func (m *MemStore) LoseIndex() error {
	l, err := m.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.d.blocks)
	clear(m.d.wholes)
	m.d.indexed = vault.Unneeded(l)
	return err
}
