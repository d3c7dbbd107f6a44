package journal

import (
	"context"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/vault"
)

// claim is what a journal takes of its size limit. Both decide from its one number:
// what takes frames in, which stops at the limit, and the policy, which gives up
// history before that.
type claim struct {
	limit int64 // 0: none
	vault.Usage
	coming int64 // bytes of frames that were begun and are not in Usage
}

// bytes is what the journal takes, or will take once base has followed: floors take as
// much as the frames that base has not reached.
func (c claim) bytes() int64 {
	return max(c.OnDisk, c.Kept+c.Work) + c.Behind + 2*c.coming
}

// fits reports whether n more bytes of frames can be stored.
func (c claim) fits(n int64) bool { return c.limit == 0 || c.bytes()+2*n <= c.limit }

// presses reports whether the journal is so near its limit that history is given up.
func (c claim) presses() bool { return c.limit > 0 && presses(c.bytes(), c.limit) }

// The parts of a limit. History is given up from soft on, down to goal; a pinned point
// is given up only from hard on. A batch is filled up to limit/batches, so that a claim
// that refuses one is above hard.
const batches = 64

func presses(bytes, limit int64) bool { return bytes > limit/10*9 }  // soft
func forced(bytes, limit int64) bool  { return bytes > limit/16*15 } // hard
func goal(limit int64) int64          { return limit / 4 * 3 }

// quota keeps a journal within the size limit of its job: what would pass it is not
// taken in.
type quota struct {
	cfg   Config
	clock clock.Clock
	job   *job
	vault *vault.Group
	disk  *diskRoom // shared by all journals

	mu      sync.Mutex
	usage   vault.Usage // when it was measured last; zero: never
	begun   int64       // bytes begun since then, or not committed then
	pending int64       // bytes begun and not committed
}

// limit is the job's limit. A smaller one than the store needs to work counts as that.
func (q *quota) limit() int64 {
	if limit := q.job.now().Limit; limit > 0 {
		return max(limit, q.cfg.LeastLimit)
	}
	return 0
}

// batch is how many bytes are stored at once, of most at most.
func (q *quota) batch(most int) int {
	n := min(int64(most), q.disk.batch())
	if limit := q.limit(); limit > 0 {
		n = min(n, limit/batches)
	}
	return int(n)
}

// measure is the claim of now.
func (q *quota) measure() (claim, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.measured(q.limit())
}

// measured is measure. The caller holds mu.
func (q *quota) measured(limit int64) (claim, error) {
	u, err := q.vault.Usage()
	if err != nil {
		return claim{}, err
	}
	q.usage, q.begun = u, q.pending
	return claim{limit, q.usage, q.begun}, nil
}

// last is the claim as far as it is known without measuring.
func (q *quota) last() claim {
	q.mu.Lock()
	defer q.mu.Unlock()
	return claim{q.limit(), q.usage, q.begun}
}

// begin notes that n bytes are going to be stored; the caller calls end once they are.
// It waits a while for room, which giving up history makes, and is Full if there is
// none then.
func (q *quota) begin(ctx context.Context, n int64) error {
	const patience = 40 // beats
	for try := 0; ; try++ {
		err := q.disk.begin(n)
		if err == nil {
			if err = q.admit(n, n); err != nil {
				q.disk.end(n)
			}
		}
		if err == nil || !cdp.Is(err, cdp.Full) || try == patience {
			return err
		}
		if err := clock.Sleep(ctx, q.clock, q.cfg.Beat); err != nil {
			return err
		}
	}
}

func (q *quota) end(n int64) {
	q.disk.end(n)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending -= n
}

// reset is called when nothing is on its way any more.
func (q *quota) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.disk.end(q.pending)
	q.pending = 0
}

// room is nil if a batch can be stored.
func (q *quota) room() error { return q.admit(q.limit()/batches, 0) }

// admit notes that begun bytes are on their way, if there is room for n.
func (q *quota) admit(n, begun int64) error {
	limit := q.limit()
	q.mu.Lock()
	defer q.mu.Unlock()
	st := q.vault.State()
	if limit == 0 || st.Straight || st == (vault.State{}) { // a first copy is not kept
		q.pending += begun
		q.begun += begun
		return nil
	}
	c := claim{limit, q.usage, q.begun}
	if c.OnDisk == 0 || q.begun > limit/100 || !c.fits(n) {
		var err error
		if c, err = q.measured(limit); err != nil {
			return err
		}
	}
	if c.fits(n) {
		q.pending += begun
		q.begun += begun
		return nil
	}
	return cdp.Errorf(cdp.Full, "store frames", string(q.job.id), "the journal needs %d MiB of its limit of %d MiB", c.bytes()>>20, limit>>20).
		WithHint("raise journal.size, or unpin points and close exports that keep old history")
}
