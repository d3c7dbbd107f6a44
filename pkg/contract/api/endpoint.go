package api

import (
	"bytes"
	"context"
	"encoding/json"

	"tidemark.dev/pkg/cdp"
)

// Endpoint answers one request: JSON in, a value to be sent as JSON out.
type Endpoint = func(ctx context.Context, req []byte) (any, error)

// Answer makes an endpoint of a function. No request at all is an empty one. A
// field that T does not have is refused as Invalid: whoever sent it would take
// it for heeded.
func Answer[T any](fn func(context.Context, T) (any, error)) Endpoint {
	return func(ctx context.Context, raw []byte) (any, error) {
		const op = "read request"
		var req T
		if len(raw) > 0 {
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&req); err != nil {
				return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Cause: err}
			}
			if dec.More() {
				return nil, cdp.Errorf(cdp.Invalid, op, "", "there is more after the end of the request")
			}
		}
		return fn(ctx, req)
	}
}
