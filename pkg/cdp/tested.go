package cdp

import (
	"time"
	"unicode/utf8"
)

// Verdict is what a person says of a test.
type Verdict string

const (
	Passed Verdict = "passed"
	Failed Verdict = "failed"
)

// PointTest is what came of a test failover to a point. The target keeps it with the
// point; the source knows nothing of it.
type PointTest struct {
	Run     string    `json:"run"`
	At      time.Time `json:"at"` // when the test was ended, on the target's clock
	Verdict Verdict   `json:"verdict"`
	Note    string    `json:"note,omitempty"` // up to 1000 characters
	// By is who gave the verdict, as they say.
	By string `json:"by,omitempty"`
	// Evidence is what the checks found, one result each.
	Evidence []string `json:"evidence,omitempty"`
}

// MaxNote is how many characters a note of a test may have.
const MaxNote = 1000

// CheckVerdict returns an Invalid error that names the field that is wrong.
func CheckVerdict(v Verdict, note string) error {
	const op = "check verdict"
	switch {
	case v != Passed && v != Failed:
		return Errorf(Invalid, op, "verdict", "%q: must be passed or failed", v)
	case utf8.RuneCountInString(note) > MaxNote:
		return Errorf(Invalid, op, "note", "it has %d characters: at most %d are kept", utf8.RuneCountInString(note), MaxNote)
	}
	return nil
}
