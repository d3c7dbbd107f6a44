package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A journal is killed, and the server gives the first frames to its open requests.
// The journal that follows gets them all the same, while the guest goes on writing:
// there is never a quiet moment in which a heartbeat could tell.
func TestFramesThatADeadJournalTookComeAgain(t *testing.T) {
	r := newRig(t, 64<<20)
	sink := r.Sink(t)
	taken := r.takeAtMost(3)

	background(t, func(ctx context.Context) error {
		for no := cdp.FrameNo(1); ctx.Err() == nil; no++ {
			if err := sink.Publish(spooltest.Make(no, 1, 512)); err != nil {
				return err
			}
			if x := <-sink.Results(); x.Err != nil {
				return x.Err
			}
			time.Sleep(10 * time.Millisecond)
		}
		return ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := cdp.Errorf(cdp.Internal, "stop", "", "done")
	next := cdp.FrameNo(1)
	err := r.Source(t).Pull(ctx, next, nil, func(m spool.Message) error {
		if m.No != next {
			t.Errorf("frame %d, want %d", m.No, next)
		}
		if next++; next > 50 {
			return done
		}
		return nil
	})
	if err != done {
		t.Fatalf("the next frame is %d: %v", next, err)
	}
	if n, _, err := taken.Pending(); n == 0 || err != nil {
		t.Fatalf("the dead journal took %d frames: %v", n, err)
	}
}

// takeAtMost asks for n frames of the stream as a journal does that nobody hears
// of any more.
func (r *rig) takeAtMost(n int) *nats.Subscription {
	r.t.Helper()
	user := r.sites.Tree.Credential("dr", "journal")
	nc, err := nats.Connect(r.sites.DR.ClientURL(), nats.UserInfo(user.User, user.Password), nats.CustomInboxPrefix("_INBOX_journal"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(nc.Close)
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		r.t.Fatal(err)
	}
	at := subjects.PeerAPI("prod") + ".CONSUMER.MSG.NEXT." + subjects.FrameStream(r.group) + "." + subjects.FrameConsumer("dr")
	if err := nc.PublishRequest(at, sub.Subject, fmt.Appendf(nil, `{"batch":%d,"expires":60000000000}`, n)); err != nil {
		r.t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		r.t.Fatal(err)
	}
	return sub
}
