package vaulttest

import (
	"errors"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// ErrPower is the error of everything once the power has failed.
var ErrPower = errors.New("the power failed")

// errFull is the error of everything while the disk is full.
var errFull = cdp.Errorf(cdp.Full, "write", "disk", "no space left")

// Fuse makes the power fail at a chosen one of the coming commits and writes.
// From then on nothing is done until Mend.
type Fuse struct {
	mu    sync.Mutex
	left  int  // commits until it blows; 0: it is not lit
	after bool // the commit at which it blows is still made, but not reported
	blown bool
	full  bool // it is room that ends, not power
}

// Light makes the n-th commit from now the last: it is not made or, with after,
// made and not reported.
func (f *Fuse) Light(n int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.after, f.full = n, after, false
}

// Fill makes the disk full from the n-th commit from now on: none is made until Mend.
func (f *Fuse) Fill(n int) {
	f.Light(n, false)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = true
}

// Mend brings the power back.
func (f *Fuse) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.blown = 0, false
}

// Blow is called before something that changes what is kept.
func (f *Fuse) Blow(string) error {
	_, err := f.step()
	return err
}

func (f *Fuse) step() (lose bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	why := ErrPower
	if f.full {
		why = errFull
	}
	if f.blown {
		return false, why
	}
	if f.left == 0 {
		return false, nil
	}
	if f.left--; f.left > 0 {
		return false, nil
	}
	f.blown = true
	if f.after {
		return true, nil
	}
	return false, why
}

func (f *Fuse) commit(do func() error) error {
	lose, err := f.step()
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if lose {
		return ErrPower
	}
	return nil
}

// Fused is a store that loses power when its fuse blows.
type Fused struct {
	vault.Store
	Fuse *Fuse
}

type fusedPending struct {
	vault.Pending
	f *Fuse
}

type fusedUpdate struct {
	vault.Update
	f *Fuse
}

// Prepare is the store's.
func (s Fused) Prepare(frames []frame.Frame) (vault.Pending, error) {
	p, err := s.Store.Prepare(frames)
	return fusedPending{p, s.Fuse}, err
}

// AddFloors is the store's, if the power holds.
func (s Fused) AddFloors(floors []vault.Floor, zeros []vault.ZeroFloor) error {
	return s.Fuse.commit(func() error { return s.Store.AddFloors(floors, zeros) })
}

// AddIndex is the store's, if the power holds.
func (s Fused) AddIndex(upTo cdp.FrameNo, e []vault.IndexEntry) error {
	return s.Fuse.commit(func() error { return s.Store.AddIndex(upTo, e) })
}

// Begin is the store's.
func (s Fused) Begin() vault.Update { return fusedUpdate{s.Store.Begin(), s.Fuse} }

func (p fusedPending) Begin() error { return p.f.commit(p.Pending.Begin) }

func (p fusedPending) Commit() error { return p.f.commit(p.Pending.Commit) }

func (u fusedUpdate) Commit() error {
	done := false
	err := u.f.commit(func() error { done = true; return u.Update.Commit() })
	if !done {
		u.Update.Discard()
	}
	return err
}
