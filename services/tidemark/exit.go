package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/health"
)

// Exit codes. They are printed in the help and do not change.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitUnreachable = 5
)

const exitHelp = `Exit codes:
  0  done
  1  failed
  2  wrong usage or invalid input; nothing was changed
  3  not found
  4  conflict: not possible in the current state
  5  unreachable: the bus or a service does not answer`

// usageError is a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// verdict is the exit code of a status that is not good. It is no error to report.
type verdict health.Level

func (v verdict) Error() string { return health.Level(v).String() }

// exitCode is what an error means to a script.
func exitCode(err error) int {
	var u usageError
	var e *cdp.Error
	var v verdict
	switch {
	case errors.As(err, &v):
		return int(v)
	case err == nil:
		return exitOK
	case errors.As(err, &u):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitFailed
	case errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &e):
		return exitUnreachable
	}
	switch cdp.KindOf(err) {
	case cdp.Invalid:
		return exitUsage
	case cdp.NotFound:
		return exitNotFound
	case cdp.Conflict, cdp.Duplicate, cdp.Fenced:
		return exitConflict
	case cdp.Transient:
		return exitUnreachable
	}
	return exitFailed
}

// report writes an error for people: what failed, why, and what they can do.
func report(w io.Writer, err error) {
	if v := verdict(0); errors.As(err, &v) {
		return
	}
	text := plain(strings.TrimSpace(err.Error()))
	if errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	lines := strings.Split(text, "\n")
	fmt.Fprintf(w, "tidemark: %s\n", lines[0])
	for _, l := range lines[1:] {
		fmt.Fprintf(w, "  %s\n", l)
	}
	if hint := cdp.HintOf(err); hint != "" {
		fmt.Fprintf(w, "  hint: %s\n", plain(hint))
	}
}
