package vcenter

import (
	"context"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
)

// hearLate listens for transporters that answer after their deployment gave up, so
// that they no longer count as never heard and keeping nothing.
func (t *transporters) hearLate(ctx context.Context) {
	for ctx.Err() == nil {
		var recs []Record
		if t.unheard.Swap(false) {
			var err error
			recs, err = t.records.List(ctx, keyDeploy)
			if err != nil && ctx.Err() == nil {
				t.report.notify(cdp.Wrap(err, "list records", keyDeploy))
			}
			if err != nil || len(recs) > 0 {
				t.unheard.Store(true)
			}
		}
		for _, r := range recs {
			name := strings.TrimPrefix(r.Key, keyDeploy)
			// While other work is done on it, this is not needed.
			lane := laneTransporter + name
			w, _ := t.lanes.begin(ctx, lane, "hear", func(ctx context.Context, _ progress) (any, error) { return nil, t.hear(ctx, name) })
			if w == nil {
				continue
			}
			<-w.done
			t.lanes.forget(lane, w)
			if ctx.Err() == nil {
				t.report.note(w.err)
			}
		}
		_ = clock.Sleep(ctx, t.clock, t.cfg.Retry)
	}
}

func (t *transporters) hear(ctx context.Context, name string) error {
	rec, err := load[deployRecord](ctx, t.records, keyDeploy+name)
	if err != nil || rec.Value.Stage != deployMade || !rec.Value.unheard() {
		return err
	}
	answers, _, err := t.journal.Heard(ctx, name)
	if err != nil || !answers {
		if cdp.Is(err, cdp.Transient) {
			err = nil
		}
		return err
	}
	t.report.transporter(ctx, name, event.TransporterReady, "its journal service answers")
	return rec.drop(ctx)
}
