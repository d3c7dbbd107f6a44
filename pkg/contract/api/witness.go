package api

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"time"

	"tidemark.dev/pkg/cdp"
)

// PlanWitness takes what a witness saw: WitnessReport -> Empty. NotFound if no plan of
// the site lists the witness for what it saw.
const PlanWitness = "witness"

// WitnessReport is what a witness saw of a site. It is signed, for the users of the
// bus are services, and each witness counts once.
type WitnessReport struct {
	Key     string   `json:"key"`  // the witness's public key, in base64
	To      cdp.Site `json:"to"`   // the site whose orchestrator gets the report
	Site    cdp.Site `json:"site"` // what was looked at
	Answers bool     `json:"answers"`
	// Text is what was seen.
	Text string `json:"text,omitempty"`
	// At is the witness's time of day. It rises from report to report.
	At        time.Time `json:"at"`
	Signature []byte    `json:"signature,omitempty"`
	// HeardAt is the time of day at To when the report came; not signed.
	HeardAt time.Time `json:"heardAt,omitzero"`
}

// Sign signs the report with the witness's key.
func (r *WitnessReport) Sign(key ed25519.PrivateKey) {
	r.Key = WitnessKey(key)
	r.Signature = ed25519.Sign(key, r.signed())
}

// Check refuses a report that is not signed with its key.
func (r WitnessReport) Check() error {
	key, err := base64.StdEncoding.DecodeString(r.Key)
	if err != nil || len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, r.signed(), r.Signature) {
		return cdp.Errorf(cdp.Invalid, "take witness's report", string(r.Site), "its signature is not that of the key %q", r.Key)
	}
	return nil
}

// signed is what the signature is about.
func (r WitnessReport) signed() []byte {
	r.Signature, r.HeardAt, r.At = nil, time.Time{}, r.At.UTC().Round(0)
	out, _ := json.Marshal(r) // it has no field that cannot be encoded
	return append([]byte("tidemark witness v1\n"), out...)
}

// WitnessKey is the public key of a witness, as plans list it.
func WitnessKey(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}
