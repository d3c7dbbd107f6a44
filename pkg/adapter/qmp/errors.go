package qmp

import (
	"errors"
	"fmt"
)

// ErrClosed is the error of calls on a client that was closed by its owner.
var ErrClosed = errors.New("connection closed")

// Error is a command QEMU refused. Class is one of QAPI's ("GenericError",
// "CommandNotFound", "DeviceNotActive", "DeviceNotFound", "KVMMissingCap"); Desc
// is prose for people and changes between versions.
type Error struct {
	Command string
	Class   string
	Desc    string
}

func (e *Error) Error() string { return fmt.Sprintf("qmp: %s: %s: %s", e.Command, e.Class, e.Desc) }

// ProtocolError is something on the wire that is not QMP. The connection is
// unusable then.
type ProtocolError struct {
	Problem string
	Line    []byte // as received
}

func (e *ProtocolError) Error() string {
	shown, more := e.Line, ""
	if len(shown) > 120 {
		shown, more = shown[:120], "..."
	}
	return fmt.Sprintf("not QMP (%s): %q%s", e.Problem, shown, more)
}
