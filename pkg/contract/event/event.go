package event

import (
	"bytes"
	"encoding/json"
	"time"

	"tidemark.dev/pkg/cdp"
)

// Event is a command or an event: the CloudEvents attributes we use and the
// payload.
type Event struct {
	ID     string // a ULID; unique within Source
	Source string // who sent it: /<site>/<service>
	Type   string // names the payload's schema
	// Subject is the job or group it is about.
	Subject string
	Time    time.Time
	Data    json.RawMessage
}

// Payload is the typed content of an event.
type Payload interface {
	// EventType is the type that names the payload's schema.
	EventType() string
	// About is the job or group it is about.
	About() string
}

// New makes an event of a payload.
func New(id string, now time.Time, source string, p Payload) (Event, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return Event{}, &cdp.Error{Op: "encode event", Kind: cdp.Invalid, Subject: p.EventType(), Cause: err}
	}
	return Event{ID: id, Source: source, Type: p.EventType(), Subject: p.About(), Time: now.UTC(), Data: data}, nil
}

// Into decodes the payload into p, whose type must be the event's. Fields that
// p does not have are refused; so is anything after the payload.
func (e Event) Into(p Payload) error {
	if e.Type != p.EventType() {
		return cdp.Errorf(cdp.Invalid, "decode event", e.ID, "its type is %q, want %q", e.Type, p.EventType())
	}
	dec := json.NewDecoder(bytes.NewReader(e.Data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		return &cdp.Error{Op: "decode event", Kind: cdp.Invalid, Subject: e.Type, Cause: err}
	}
	if dec.More() {
		return cdp.Errorf(cdp.Invalid, "decode event", e.Type, "there is something after the payload")
	}
	return nil
}
