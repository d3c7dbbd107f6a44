package journal

import (
	"context"
	"fmt"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/vault"
)

// baseMove moves the base of a halted group to the point of a failover, in the
// background, one move at a time.
type baseMove struct {
	id    cdp.GroupID
	vault *vault.Group

	mu  sync.Mutex
	now *moving // nil: none since the last answer
}

// moving is a move that was begun.
type moving struct {
	from, to cdp.Seq
	cancel   context.CancelFunc
	done     chan struct{} // closed when err is set
	err      error
}

func (m *moving) ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// move starts a move, or says how far it is. An error is reported once; asking
// again starts anew.
func (b *baseMove) move(to cdp.Seq) (api.MoveReply, error) {
	const op = "move base"
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.vault.State().Halted {
		return api.MoveReply{}, cdp.Errorf(cdp.Conflict, op, string(b.id), "the journal still takes writes: halt it first")
	}
	if m := b.now; m != nil {
		if !m.ended() {
			if m.to != to {
				return api.MoveReply{}, cdp.Errorf(cdp.Conflict, op, string(b.id), "base is being moved to write %d", m.to)
			}
			return b.progress(m.from, to), nil
		}
		b.now = nil
		if m.err != nil {
			return api.MoveReply{}, b.explained(m)
		}
	}
	bounds := b.vault.Bounds()
	if bounds.Base == to && b.vault.State().Moving == to {
		return api.MoveReply{Done: true, Bounds: bounds, Moved: 1, Total: 1}, nil
	}
	if !bounds.Has(to) {
		return api.MoveReply{}, cdp.Errorf(cdp.NotFound, op, string(b.id), "write %d is outside the journal (%s)", to, bounds)
	}
	b.now = b.start(bounds.Base, to)
	return b.progress(bounds.Base, to), nil
}

// explained is the error of a move; of one that met damage it says where the replica is,
// and the way out.
func (b *baseMove) explained(m *moving) error {
	if !cdp.Is(m.err, cdp.Corrupt) {
		return m.err
	}
	return cdp.Errorf(cdp.Corrupt, "move base", string(b.id), "the replica cannot be brought to write %d, and stays at write %d: stored data is damaged: %v", m.to, b.vault.Bounds().Base, m.err).
		WithHint(fmt.Sprintf("end the run: tidemark failover undo %[1]s; then choose another point, nearer to write %[2]d, that is not marked as damaged: tidemark point list %[1]s", b.id, b.vault.Bounds().Base))
}

func (b *baseMove) start(from, to cdp.Seq) *moving {
	ctx, cancel := context.WithCancel(context.Background())
	m := &moving{from: from, to: to, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		defer cancel()
		m.err = b.to(ctx, to)
		for tries := 0; tries < 3 && cdp.Is(m.err, cdp.Corrupt); tries++ {
			if !b.mended(ctx) && tries > 0 { // at first the housekeeper may have been faster
				break
			}
			m.err = b.to(ctx, to)
		}
	}()
	return m
}

func (b *baseMove) to(ctx context.Context, to cdp.Seq) error {
	err := b.vault.Raise(ctx, to)
	if err == nil {
		err = b.vault.Lower(ctx, to)
	}
	return err
}

// mended reports whether it was the index that was damaged, or what else can be made anew,
// and that has been done, here or by the housekeeper.
func (b *baseMove) mended(ctx context.Context) bool {
	if b.vault.Broken() == nil {
		if anew, err := b.vault.Reindex(); err != nil || !anew {
			return false
		}
	}
	return b.vault.Recover(ctx) == nil
}

// progress is how far base is from one seq to another, in writes.
func (b *baseMove) progress(from, to cdp.Seq) api.MoveReply {
	bounds := b.vault.Bounds()
	total := int64(to) - int64(from)
	moved := int64(bounds.Base) - int64(from)
	if total < 0 {
		total, moved = -total, -moved
	}
	return api.MoveReply{Bounds: bounds, Moved: max(0, moved), Total: max(1, total)}
}

// underway is where base is being moved.
func (b *baseMove) underway() (to cdp.Seq, busy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now == nil || b.now.ended() {
		return 0, false
	}
	return b.now.to, true
}

// stop ends a move and waits for it.
func (b *baseMove) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now != nil {
		b.now.cancel()
		<-b.now.done
	}
}
