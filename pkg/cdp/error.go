package cdp

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what an error means to whoever has to act on it. It decides what a
// service does with the message that led to it.
type Kind string

const (
	// Internal is a broken invariant or a defect: stop and report it.
	Internal Kind = "internal"
	// Invalid is input that can never succeed: dead-letter it.
	Invalid Kind = "invalid"
	// NotFound is a name of nothing.
	NotFound Kind = "not found"
	// Conflict is a request that the state of something else forbids now.
	Conflict Kind = "conflict"
	// Duplicate is something already done: acknowledge it.
	Duplicate Kind = "duplicate"
	// Transient is a failure that may pass: try again later.
	Transient Kind = "transient"
	// Fenced comes from a capturer or leader that was replaced: it must stop.
	Fenced Kind = "fenced"
	// Corrupt is stored or received data that fails its check.
	Corrupt Kind = "corrupt"
	// Full is a limit of space or memory that was reached.
	Full Kind = "full"
)

// Error is the product's one error type. Each layer that adds something wraps
// the cause with its own Op and Subject; Kind and Hint are inherited.
type Error struct {
	Op      string // what was being done: "store frames"
	Kind    Kind
	Subject string // what it was done to: a group, a path, a field
	Cause   error
	Hint    string // what the reader can do about it
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Subject != "" {
		b.WriteString(" " + e.Subject)
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	} else if e.Kind != "" {
		b.WriteString(": " + string(e.Kind))
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an error whose cause is the formatted text.
func Errorf(kind Kind, op, subject, format string, args ...any) *Error {
	return &Error{Op: op, Kind: kind, Subject: subject, Cause: fmt.Errorf(format, args...)}
}

// Wrap adds op and subject to cause and keeps its kind; an error that has none
// becomes Internal. Wrap of nil is nil, and of what says the same already, that.
func Wrap(cause error, op, subject string) error {
	if cause == nil {
		return nil
	}
	if e, ok := cause.(*Error); ok && e.Op == op && e.Subject == subject && e.Kind != "" {
		return e
	}
	return &Error{Op: op, Kind: KindOf(cause), Subject: subject, Cause: cause}
}

// WithHint returns e with a hint of what to do.
func (e *Error) WithHint(hint string) *Error {
	e.Hint = hint
	return e
}

// KindOf is the kind of the outermost Error in err's chain that has one, else
// Internal.
func KindOf(err error) Kind {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		if e.Kind != "" {
			return e.Kind
		}
		err = e.Cause
	}
	return Internal
}

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// HintOf is the innermost hint in err's chain, the one closest to the trouble.
func HintOf(err error) string {
	hint := ""
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		if e.Hint != "" {
			hint = e.Hint
		}
		err = e.Cause
	}
	return hint
}
