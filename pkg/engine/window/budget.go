package window

import "sync/atomic"

// Budget is the memory that the windows of a machine share beyond the floor of
// each. No window may have more than is left for the others: one that cannot send
// ends up with half of it, two with a third each, and so on. A nil Budget has no
// limit. It is safe for concurrent use.
type Budget struct {
	limit int64
	taken atomic.Int64 // bytes; more than limit only where a process took over more
}

// NewBudget makes a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{limit: bytes} }

// take takes n bytes for a window that has mine bytes already, or nothing.
func (b *Budget) take(n, mine int64) bool {
	if b == nil || n == 0 {
		return true
	}
	if left := b.limit - b.taken.Add(n); mine+n > left {
		b.taken.Add(-n)
		return false
	}
	return true
}

// owe takes n bytes, be they there or not.
func (b *Budget) owe(n int64) { b.give(-n) }

func (b *Budget) give(n int64) {
	if b != nil {
		b.taken.Add(-n)
	}
}

// Taken is how many bytes are taken.
func (b *Budget) Taken() int64 {
	if b == nil {
		return 0
	}
	return b.taken.Load()
}

// Tight reports whether more than half is taken: what can wait should.
func (b *Budget) Tight() bool { return b != nil && b.taken.Load() > b.limit/2 }
