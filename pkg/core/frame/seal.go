package frame

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"

	"tidemark.dev/pkg/cdp"
)

const (
	digestSize    = sha256.Size
	signatureSize = ed25519.PublicKeySize + ed25519.SignatureSize
	// SealSize is the most, in bytes, that follows the records of a frame.
	SealSize = digestSize + signatureSize
)

// PublicKey is what a source's signatures are checked with.
type PublicKey [ed25519.PublicKeySize]byte

func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// ParsePublicKey reads what String gave.
func ParsePublicKey(s string) (k PublicKey, err error) {
	p, err := hex.DecodeString(s)
	if err != nil || len(p) != len(k) {
		return k, cdp.Errorf(cdp.Invalid, "read public key", "", "%q is not a public key: want %d hexadecimal digits", s, 2*len(k))
	}
	return PublicKey(p), nil
}

// Signature is a source's signature of a frame's hash, and so of all frames before it.
type Signature struct {
	Key   PublicKey
	Bytes [ed25519.SignatureSize]byte
}

// Signer signs the hash of a frame.
type Signer func(Hash) Signature

// NewSigner signs the frames of a group with a source's key.
func NewSigner(key ed25519.PrivateKey, g cdp.GroupID) Signer {
	public := PublicKey(key.Public().(ed25519.PublicKey))
	return func(h Hash) Signature {
		return Signature{public, [ed25519.SignatureSize]byte(ed25519.Sign(key, statement(g, h)))}
	}
}

// Of reports whether this is the key's signature of a frame of a group.
func (s Signature) Of(g cdp.GroupID, h Hash) bool {
	return ed25519.Verify(s.Key[:], statement(g, h), s.Bytes[:])
}

// statement is what is signed. It names the group, so that the journal of one cannot
// be passed off as that of another.
func statement(g cdp.GroupID, h Hash) []byte {
	return append([]byte("tidemark-frame-1\n"+string(g)+"\n"), h[:]...)
}

func (s Signature) encode(b []byte) {
	copy(b[copy(b, s.Key[:]):], s.Bytes[:])
}

// tableSize is the length of the table and the seal in bytes.
func (h Header) tableSize() int {
	n := h.Records * RecordSize
	if h.Has(Digested) {
		n += digestSize
	}
	if h.Has(Signed) {
		n += signatureSize
	}
	return n
}

// size is the length of the whole frame in bytes.
func (h Header) size() int { return HeaderSize + h.PayloadLen + h.tableSize() }

// hashed is the part of table and seal that the hash covers.
func (h Header) hashed(table []byte) []byte {
	if h.Has(Signed) {
		return table[:len(table)-signatureSize]
	}
	return table
}

// Signature is the source's signature; false if the frame has none.
func (t Table) Signature() (s Signature, ok bool) {
	if !t.Has(Signed) {
		return s, false
	}
	p := t.raw[len(t.raw)-signatureSize:]
	copy(s.Bytes[:], p[copy(s.Key[:], p):])
	return s, true
}

// Proves reports whether payload is, to the last bit, what was sealed; known is false
// for a frame of an older version, which has only checksums.
func (t Table) Proves(payload []byte) (same, known bool) {
	if !t.Has(Digested) {
		return false, false
	}
	at := t.Records * RecordSize
	return sha256.Sum256(payload) == [digestSize]byte(t.raw[at:at+digestSize]), true
}

// ParseSlot is Parse for a frame that was sealed at the start of slot, whatever
// follows it there.
func ParseSlot(slot []byte) (Frame, error) {
	h, err := ParseHeader(slot)
	if err != nil {
		return Frame{}, err
	}
	if h.size() > len(slot) {
		return Frame{}, bad("length", "%d bytes, the slot has %d", h.size(), len(slot))
	}
	return Parse(slot[:h.size()])
}
