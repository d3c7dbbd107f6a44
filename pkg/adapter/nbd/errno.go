package nbd

import (
	"errors"
	"fmt"
	"syscall"
)

// errno is an error number of the protocol; 0 is success. The numbers equal
// Linux's; the protocol has no others.
type errno uint32

const (
	eperm     errno = 1
	eio       errno = 5
	enomem    errno = 12
	einval    errno = 22
	enospc    errno = 28
	eoverflow errno = 75
	enotsup   errno = 95
	eshutdown errno = 108
)

// errnoOf maps a backend's error to what the protocol can say.
func errnoOf(err error) errno {
	if err == nil {
		return 0
	}
	var sys syscall.Errno
	if !errors.As(err, &sys) {
		return eio
	}
	switch sys {
	case syscall.EPERM, syscall.EACCES, syscall.EROFS:
		return eperm
	case syscall.ENOMEM:
		return enomem
	case syscall.EINVAL:
		return einval
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
		return enospc
	case syscall.EOVERFLOW:
		return eoverflow
	case syscall.EOPNOTSUPP:
		return enotsup
	case syscall.ESHUTDOWN:
		return eshutdown
	}
	return eio
}

// Error is the type of every error of this package. Err is a syscall.Errno if the
// other side refused, so errors.Is(err, syscall.ENOSPC) works.
type Error struct {
	Op      string // what was tried: "dial", "write", "add export"
	Subject string // on what: an export's name, an address
	Err     error  // why not
	Hint    string // what to do about it, may be empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("nbd: %s %q: %v", e.Op, e.Subject, e.Err)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

var (
	// ErrUnknownExport: there is no export of that name, or no longer.
	ErrUnknownExport = errors.New("unknown export")
	// ErrExportExists: the name is taken.
	ErrExportExists = errors.New("export exists")
	// ErrProtocol: the other side broke the protocol.
	ErrProtocol = errors.New("protocol violation")
	// ErrRefused: a limit, a hook or the policy refused it.
	ErrRefused = errors.New("refused")
)
