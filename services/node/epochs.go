package node

import (
	"context"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/capture"
)

// epochs is capture.Epochs: the revision of the group's key in a bucket is the
// fencing number, so it grows, and only its holder can raise it.
type epochs struct {
	conn  *bus.Conn
	site  cdp.Site
	id    string // of this run of the capture service
	clock clock.Clock

	mu     sync.Mutex
	bucket *bus.Bucket[holder] // nil: not opened yet
}

var _ capture.Epochs = (*epochs)(nil)

func newEpochs(conn *bus.Conn, site cdp.Site, c clock.Clock) *epochs {
	return &epochs{conn: conn, site: site, id: ulid.Make().String(), clock: c}
}

// holder is who was given a group's newest epoch.
type holder struct {
	Capturer string    `json:"capturer"` // unique to each run of a capture service
	At       time.Time `json:"at"`
}

// open opens the bucket once: to look it up costs more than to use it, and a site has a
// thousand groups.
func (x *epochs) open(ctx context.Context) (*bus.Bucket[holder], error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.bucket != nil {
		return x.bucket, nil
	}
	b, err := bus.OpenBucket[holder](ctx, x.conn, x.site, subjects.BucketEpoch, "group")
	if err == nil {
		x.bucket = b
	}
	return b, err
}

// Next implements capture.Epochs. A server that lost power may have forgotten the
// newest epoch; then it is raised above held.
func (x *epochs) Next(ctx context.Context, g cdp.GroupID, held cdp.Epoch) (cdp.Epoch, error) {
	b, err := x.open(ctx)
	if err != nil {
		return 0, err
	}
	me := holder{x.id, x.clock.Now()}
	if held == 0 {
		rev, err := b.Put(ctx, string(g), me)
		return cdp.Epoch(rev), err
	}
	for at := uint64(held); ; {
		var rev uint64
		if at == 0 {
			rev, err = b.Create(ctx, string(g), me)
		} else {
			rev, err = b.Update(ctx, string(g), me, at)
		}
		if err == nil && cdp.Epoch(rev) > held || err != nil && !cdp.Is(err, cdp.Conflict) {
			return cdp.Epoch(rev), err
		}
		now, err := b.Get(ctx, string(g))
		switch {
		case cdp.Is(err, cdp.NotFound):
			at = 0
		case cdp.Is(err, cdp.Corrupt):
			at = now.Revision // nobody's, whoever wrote it
		case err != nil:
			return 0, err
		case cdp.Epoch(now.Revision) <= held:
			at = now.Revision
		case now.Value.Capturer == x.id:
			return cdp.Epoch(now.Revision), nil // given to us before; the answer was lost
		default:
			return 0, cdp.Errorf(cdp.Fenced, "take epoch", string(g), "another capturer has taken over the group").
				WithHint("only one capture service may serve a group: stop this one, or the other")
		}
	}
}
