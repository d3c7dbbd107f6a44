package capture

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// listener publishes what happens to the groups.
type listener struct{ s *Service }

var (
	_ Events = listener{}
	_ Alarms = listener{}
)

func (l listener) StateChanged(c Change) {
	class := event.RPOUnbounded
	switch c.To {
	case event.Replicating:
		class = event.RPOSubSecond
	case event.Overflow, event.Resyncing, event.NeedsResync:
		class = event.RPOMinutes
	}
	l.s.tell(event.CaptureStateChanged{Group: c.Group, State: c.To, Reason: c.Reason, RPOClass: class})
}

func (l listener) Progress(p Progress) {
	_ = l.s.emit(event.CaptureProgress{Group: p.Group, Done: p.Done, Total: p.Total}) // another one follows
}

func (l listener) ListenerFailed(g cdp.GroupID, err error) { l.s.notify(err, string(g)) }

func (l listener) Alarm(g cdp.GroupID, kind AlarmKind, text string) {
	l.s.tell(event.CaptureAlarm{Group: g, Kind: kind, Text: text})
}
