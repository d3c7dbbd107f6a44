package journal

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A failover halts the journal and brings the replica to its point just when the
// housekeeper has decided to bring it up to head. The replica stays at the point.
func TestTheReplicaOfAHaltedJournalStaysAtThePoint(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer s.shut()
	w := newTraffic(s, 23)
	w.mustSend(30)
	points := must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points
	p := points[len(points)/2]
	g, err := s.svc.group("g")
	if err != nil {
		t.Fatal(err)
	}
	decided := intent{Raise: s.head()} // and then:
	must[cdp.Bounds](s, api.JournalHalt, run1)
	s.untilBase("r1", p.Seq)
	if ctx, ok := g.keeper.mayMove(t.Context()); ok {
		if err := g.keeper.carryOut(ctx, decided); err != nil {
			t.Fatal(err)
		}
	}
	must[api.Empty](s, api.JournalRelease, run1)
	same(t, w.at(p.Seq), s.images())
}
