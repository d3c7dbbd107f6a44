package capture

import (
	"maps"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

func TestWhatBeginsAResyncIsCountedByItsCause(t *testing.T) {
	inline, tap, frozen, cbt := Job{Mode: cdp.Inline}, Job{Mode: cdp.Tap}, Job{Mode: cdp.Tap, Frozen: true}, Job{Mode: cdp.CBT, Frozen: true}
	for _, x := range []struct {
		what   string
		job    Job
		states []event.CaptureState
		want   resyncs
	}{
		{"a first copy", inline, []event.CaptureState{event.Detached, event.Seeding, event.Replicating}, resyncs{}},
		{"a link that is too slow, twice", inline, []event.CaptureState{event.Replicating, event.Overflow, event.Resyncing, event.Overflow, event.Resyncing, event.Replicating},
			resyncs{event.ResyncOverflow: 2}},
		{"capture is started again", inline, []event.CaptureState{event.Detached, event.Resyncing, event.Replicating}, resyncs{event.ResyncRejoined: 1}},
		{"a disk fails a write", inline, []event.CaptureState{event.Replicating, event.Resyncing, event.Replicating}, resyncs{event.ResyncDisk: 1}},
		{"a tap misses a write and copies again", tap, []event.CaptureState{event.Replicating, event.NeedsResync, event.Seeding, event.Replicating}, resyncs{event.ResyncTap: 1}},
		{"the tap of a VM was away", frozen, []event.CaptureState{event.Replicating, event.NeedsResync, event.Resyncing, event.Replicating}, resyncs{event.ResyncTap: 1}},
		{"the tap of a VM is awaited", frozen, []event.CaptureState{event.Detached, event.NeedsResync, event.Seeding, event.Replicating}, resyncs{}},
		{"the cycles of changed-block tracking", cbt, []event.CaptureState{event.Replicating, event.Resyncing, event.Replicating, event.Resyncing, event.Replicating}, resyncs{}},
	} {
		got := resyncs{}
		for i, to := range x.states[1:] {
			got.note(x.job, x.states[i], to)
		}
		if !maps.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", x.what, got, x.want)
		}
	}
}
