package cdp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// RequestID is what a command that asks for a recovery point leaves in the frame
// that answers it, so that whoever sent the command finds that very point: a point
// of the same moment may be older than the command. Zero is no command. Its text
// is 16 hexadecimal digits.
type RequestID uint64

// RequestOf is the RequestID of the command with this id.
func RequestOf(command string) RequestID {
	if command == "" {
		return 0
	}
	h := sha256.Sum256([]byte(command))
	return RequestID(max(1, binary.BigEndian.Uint64(h[:])))
}

// MarshalText implements encoding.TextMarshaler.
func (r RequestID) MarshalText() ([]byte, error) {
	return []byte(hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(r)))), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RequestID) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != 8 {
		return Errorf(Invalid, "read request id", string(text), "want 16 hexadecimal digits")
	}
	*r = RequestID(binary.BigEndian.Uint64(b))
	return nil
}
