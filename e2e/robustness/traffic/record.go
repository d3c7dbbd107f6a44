package traffic

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Never is the answer's time of a write in doubt.
const Never = int64(math.MaxInt64)

// Write is one write of a guest. Times are of one clock: see Record.Now.
type Write struct {
	N    uint64
	Disk int
	Off  int64
	Len  int
	Zero bool // zeros were asked for, there is no stamp
	// Issued is before the first byte went out, Acked after the answer came;
	// Never for a write without one.
	Issued, Acked int64
}

// Before reports whether w was answered before v was issued: v may depend on w.
func (w Write) Before(v Write) bool { return w.Acked < v.Issued }

func (w Write) String() string {
	return fmt.Sprintf("write %d (disk %d, sector %d, %d long)", w.N, w.Disk, w.Off/Sector, w.Len/Sector)
}

// Record is every write of a run, in the order of their numbers from 1.
type Record struct {
	// Run tells this record's stamps from others'.
	Run  uint64
	zero time.Time

	mu       sync.Mutex
	writes   []Write
	failures []string
}

// NewRecord begins an empty record.
func NewRecord(run uint64) *Record { return &Record{Run: run, zero: time.Now()} }

// Now is the record's clock: nanoseconds since 1970, monotonic.
func (r *Record) Now() int64 { return r.At(time.Now()) }

// At is a time on the record's clock. One with a monotonic reading is exact.
func (r *Record) At(t time.Time) int64 { return r.zero.UnixNano() + int64(t.Sub(r.zero)) }

// begin enters a write before it is sent.
func (r *Record) begin(disk int, off int64, n int, zero bool) Write {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := Write{N: uint64(len(r.writes) + 1), Disk: disk, Off: off, Len: n, Zero: zero, Issued: r.Now(), Acked: Never}
	r.writes = append(r.writes, w)
	return w
}

// end enters the answer.
func (r *Record) end(n uint64) {
	now := r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes[n-1].Acked = now
}

// fail enters an error that a guest was given.
func (r *Record) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// Writes is a copy of all writes so far.
func (r *Record) Writes() []Write {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.writes)
}

// Failures are the errors that guests were given: there must be none.
func (r *Record) Failures() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.failures)
}

// Pace is how the guests did for a while.
type Pace struct {
	Writes  int
	Slowest time.Duration // of the writes that were issued in the time
	PerSec  float64
}

func (p Pace) String() string {
	return fmt.Sprintf("%.0f writes/s, the slowest took %v", p.PerSec, p.Slowest.Round(time.Millisecond))
}

// Pace is that of the time from a to b. A write still without an answer counts
// as slow as it is by now.
func (r *Record) Pace(a, b int64) Pace {
	var p Pace
	now := r.Now()
	for _, w := range r.Writes() {
		if w.Issued < a || w.Issued >= b {
			continue
		}
		p.Writes++
		p.Slowest = max(p.Slowest, time.Duration(min(w.Acked, now)-w.Issued))
	}
	p.PerSec = float64(p.Writes) / time.Duration(b-a).Seconds()
	return p
}
