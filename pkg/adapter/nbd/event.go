package nbd

// Event is a diagnostic.
type Event struct {
	Kind   EventKind
	Export string // name; empty before the client chose one
	Peer   Peer
	Op     string // EventBackendError: read, write, flush, trim or zero
	Clean  bool   // EventDisconnect: the client disconnected by itself
	Err    error  // the reason; nil when nothing went wrong
}

// EventKind says what an Event is about.
type EventKind uint8

const (
	// EventConnect: a client began to use an export.
	EventConnect EventKind = iota + 1
	// EventDisconnect: it stopped.
	EventDisconnect
	// EventRefused: a connection ended without an export, or an accept failed.
	EventRefused
	// EventBackendError: a backend call failed; the client gets an error number.
	EventBackendError
)
