package event

import "tidemark.dev/pkg/cdp"

// PointTag replaces the tags of a recovery point.
type PointTag struct {
	Job string `json:"job"`
	// Point is the point's id, a tag, or cdp.Latest.
	Point string   `json:"point"`
	Tags  []string `json:"tags"`
}

// EventType implements Payload.
func (PointTag) EventType() string { return "tidemark.cmd.v1.journal.point-tag" }

// About implements Payload.
func (p PointTag) About() string { return p.Job }

// PointPin pins a recovery point against retention, or releases it.
type PointPin struct {
	Job string `json:"job"`
	// Point is the point's id, a tag, or cdp.Latest.
	Point  string `json:"point"`
	Pinned bool   `json:"pinned"`
}

// EventType implements Payload.
func (PointPin) EventType() string { return "tidemark.cmd.v1.journal.point-pin" }

// About implements Payload.
func (p PointPin) About() string { return p.Job }

// PointDelete removes a recovery point.
type PointDelete struct {
	Job string `json:"job"`
	// Point is the point's id, a tag, or cdp.Latest.
	Point string `json:"point"`
	// Force deletes it even while an export shows it, which goes on to do so.
	Force bool `json:"force,omitempty"`
}

// EventType implements Payload.
func (PointDelete) EventType() string { return "tidemark.cmd.v1.journal.point-delete" }

// About implements Payload.
func (p PointDelete) About() string { return p.Job }

// PointCreated reports that a recovery point is durable.
type PointCreated struct {
	Group cdp.GroupID `json:"group"`
	Point cdp.Point   `json:"point"`
}

// EventType implements Payload.
func (PointCreated) EventType() string { return "tidemark.evt.v1.journal.point-created" }

// About implements Payload.
func (p PointCreated) About() string { return string(p.Group) }

// PointChanged reports a change of a recovery point.
type PointChanged struct {
	Group  cdp.GroupID `json:"group"`
	Point  cdp.Point   `json:"point"`
	Change PointChange `json:"change"`
}

// EventType implements Payload.
func (PointChanged) EventType() string { return "tidemark.evt.v1.journal.point-changed" }

// About implements Payload.
func (p PointChanged) About() string { return string(p.Group) }

// HorizonMoved reports that the oldest point moved up.
type HorizonMoved struct {
	Group  cdp.GroupID `json:"group"`
	Reason string      `json:"reason"`
	Bounds cdp.Bounds  `json:"bounds"`
}

// EventType implements Payload.
func (HorizonMoved) EventType() string { return "tidemark.evt.v1.journal.horizon-moved" }

// About implements Payload.
func (p HorizonMoved) About() string { return string(p.Group) }

// JournalStateChanged reports what a group's journal does now.
type JournalStateChanged struct {
	Group  cdp.GroupID  `json:"group"`
	State  JournalState `json:"state"`
	Reason string       `json:"reason"`
}

// EventType implements Payload.
func (JournalStateChanged) EventType() string { return "tidemark.evt.v1.journal.state-changed" }

// About implements Payload.
func (p JournalStateChanged) About() string { return string(p.Group) }

// JournalAlarm reports that a group's journal needs attention.
type JournalAlarm struct {
	Group cdp.GroupID `json:"group"`
	// Kind is a name; one kind of one group is one alarm.
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// EventType implements Payload.
func (JournalAlarm) EventType() string { return "tidemark.evt.v1.journal.alarm" }

// About implements Payload.
func (p JournalAlarm) About() string { return string(p.Group) }
