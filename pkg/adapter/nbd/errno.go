package nbd

import (
	"errors"
	"syscall"

	"tidemark.dev/pkg/cdp"
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

// failed is err as the package's error. Its cause is a syscall.Errno if the other
// side refused, so errors.Is(err, syscall.ENOSPC) works.
func failed(op, subject string, err error) *cdp.Error {
	return &cdp.Error{Op: op, Kind: kindOf(err), Subject: subject, Cause: err}
}

func kindOf(err error) cdp.Kind {
	var sys syscall.Errno
	switch {
	case errors.Is(err, ErrUnknownExport):
		return cdp.NotFound
	case errors.Is(err, ErrExportExists), errors.Is(err, ErrRefused):
		return cdp.Conflict
	case errors.Is(err, ErrProtocol):
		return cdp.Invalid
	case errors.As(err, &sys) && (sys == syscall.EINVAL || sys == syscall.EPERM || sys == syscall.EOVERFLOW):
		return cdp.Invalid
	case errors.As(err, &sys) && sys == syscall.ENOSPC:
		return cdp.Full
	}
	return cdp.Transient
}

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
