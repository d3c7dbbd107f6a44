package node

import (
	"context"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/scheduler"
)

// jobDisks is scheduler.Disks.
type jobDisks struct {
	conn  *bus.Conn
	clock clock.Clock
}

var _ scheduler.Disks = jobDisks{}

// lookTime is how long a service may take to look at disks. One that has just been
// started, or whose link has, answers well before that.
const lookTime = 10 * time.Second

func (d jobDisks) Sources(ctx context.Context, site cdp.Site, r api.DisksRequest) (api.DisksReply, error) {
	return d.ask(ctx, site, subjects.Capture, api.CaptureDisks, r)
}

func (d jobDisks) Replicas(ctx context.Context, r api.DisksRequest) (api.DisksReply, error) {
	return d.ask(ctx, r.Target, subjects.Journal, api.JournalDisks, r)
}

func (d jobDisks) ask(ctx context.Context, site cdp.Site, service, endpoint string, r api.DisksRequest) (out api.DisksReply, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	pause := clock.Backoff{Clock: d.clock, Min: 50 * time.Millisecond, Max: time.Second}
	for {
		err = d.conn.Request(ctx, site, service, endpoint, r, &out)
		if !cdp.Is(err, cdp.Transient) || pause.Wait(ctx) != nil {
			return out, err
		}
	}
}
