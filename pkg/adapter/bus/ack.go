package bus

import (
	"bytes"
	"encoding/json"

	"tidemark.dev/pkg/cdp"
)

var (
	ackStart = []byte(`{"stream":`)
	ackSeq   = []byte(`"seq":`)
)

// parseAck reads the reply to a publish into a stream. The reply of success is
// {"stream":"..","domain":"..","seq":N}; it is read without encoding/json, as
// there is one per frame. A stream's name holds no quotes.
func parseAck(data []byte) (cdp.FrameNo, error) {
	if bytes.HasPrefix(data, ackStart) {
		if i := bytes.Index(data, ackSeq); i > 0 {
			n, digits := uint64(0), 0
			for _, c := range bytes.TrimLeft(data[i+len(ackSeq):], " ") {
				if c < '0' || c > '9' || digits > 19 {
					break
				}
				n, digits = n*10+uint64(c-'0'), digits+1
			}
			if digits > 0 && digits <= 19 {
				return cdp.FrameNo(n), nil
			}
		}
	}
	var a struct {
		Seq   uint64    `json:"seq"`
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return 0, cdp.Errorf(cdp.Internal, "read acknowledgement", "", "%q is not an acknowledgement", data)
	}
	if a.Error != nil {
		return 0, &cdp.Error{Op: "publish", Kind: kindOfCode(a.Error.ErrCode), Cause: a.Error}
	}
	return cdp.FrameNo(a.Seq), nil
}
