package event

import "tidemark.dev/pkg/cdp"

// CaptureMark asks for a recovery point at the end of the open frame. The point that
// answers it has cdp.RequestOf the command's id.
type CaptureMark struct {
	Group cdp.GroupID `json:"group"`
	// Requested: an operator asked for it; else it is due by the cadence.
	Requested bool `json:"requested"`
}

// EventType implements Payload.
func (CaptureMark) EventType() string { return "tidemark.cmd.v1.capture.mark" }

// About implements Payload.
func (p CaptureMark) About() string { return string(p.Group) }

// CaptureSynced reports that a tap's first copy of a disk is complete.
type CaptureSynced struct {
	Group cdp.GroupID `json:"group"`
	Disk  string      `json:"disk"`
}

// EventType implements Payload.
func (CaptureSynced) EventType() string { return "tidemark.cmd.v1.capture.synced" }

// About implements Payload.
func (p CaptureSynced) About() string { return string(p.Group) }

// CaptureStateChanged reports what a group's capture does now.
type CaptureStateChanged struct {
	Group    cdp.GroupID  `json:"group"`
	State    CaptureState `json:"state"`
	Reason   string       `json:"reason"`
	RPOClass RPOClass     `json:"rpoClass"`
}

// EventType implements Payload.
func (CaptureStateChanged) EventType() string { return "tidemark.evt.v1.capture.state-changed" }

// About implements Payload.
func (p CaptureStateChanged) About() string { return string(p.Group) }

// CaptureProgress reports the progress of a seed or resync, in bytes.
type CaptureProgress struct {
	Group cdp.GroupID `json:"group"`
	Done  int64       `json:"done"`
	Total int64       `json:"total"`
}

// EventType implements Payload.
func (CaptureProgress) EventType() string { return "tidemark.evt.v1.capture.progress" }

// About implements Payload.
func (p CaptureProgress) About() string { return string(p.Group) }
