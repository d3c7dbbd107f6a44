package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
)

// Error codes of the JetStream API that have a kind of their own.
const (
	codeInsufficientResources = 10023
	codeMemoryExceeded        = 10028
	codeStorageExceeded       = 10047
	codeStreamNotFound        = 10059
	codeWrongLastSequence     = 10071
	codeWrongLastMsgID        = 10070
	codeStoreFailed           = 10077 // discard new: no room
	codeConsumerNotFound      = 10014
	codeWrongLastSubject      = 10164
	codeTooManyRequests       = 10167
	codeMessageTooLarge       = 10054
)

// apiError is the error part of every JetStream reply.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return e.Description }

// kindOfCode gives the meaning of a JetStream error code.
func kindOfCode(code int) cdp.Kind {
	switch code {
	case codeWrongLastSequence, codeWrongLastSubject, codeWrongLastMsgID:
		return cdp.Conflict
	case codeStoreFailed, codeStorageExceeded, codeMemoryExceeded, codeInsufficientResources:
		return cdp.Full
	case codeStreamNotFound, codeConsumerNotFound:
		return cdp.NotFound
	case codeTooManyRequests:
		return cdp.Transient
	case codeMessageTooLarge:
		return cdp.Invalid
	}
	return cdp.Internal
}

// wrap turns what nats.go returns into a cdp.Error. nil stays nil.
func wrap(err error, op, subject string) error {
	if err == nil {
		return nil
	}
	var own *cdp.Error
	if errors.As(err, &own) {
		return cdp.Wrap(err, op, subject)
	}
	kind := cdp.Internal
	var js jetstream.JetStreamError
	var raw *apiError
	switch {
	case errors.Is(err, jetstream.ErrKeyExists):
		kind = cdp.Conflict
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted),
		errors.Is(err, jetstream.ErrBucketNotFound), errors.Is(err, jetstream.ErrMsgNotFound):
		kind = cdp.NotFound
	case errors.Is(err, jetstream.ErrInvalidKey), errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		kind = cdp.Invalid
	case errors.As(err, &raw):
		kind = kindOfCode(raw.ErrCode)
	case errors.As(err, &js) && js.APIError() != nil:
		kind = kindOfCode(int(js.APIError().ErrorCode))
	case isLink(err), errors.Is(err, context.Canceled):
		kind = cdp.Transient
	}
	return &cdp.Error{Op: op, Kind: kind, Subject: subject, Cause: err}
}

// isLink reports whether err means that the other side cannot be reached now.
func isLink(err error) bool {
	for _, e := range []error{
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting,
		nats.ErrReconnectBufExceeded, nats.ErrDisconnected, nats.ErrNoServers, nats.ErrStaleConnection,
		context.DeadlineExceeded, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func invalid(op, subject, format string, args ...any) error {
	return &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: subject, Cause: fmt.Errorf(format, args...)}
}
