package cdp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// Latest is the word for the newest recovery point.
	Latest = "latest"
	// LastWrite is the word for the newest write that the disks can be brought to,
	// which is past the newest recovery point while writes arrive.
	LastWrite = "last-write"
	// Proven is the word for the newest recovery point whose last test passed. A tag of that
	// word says the same.
	Proven = "proven"
	// MaxTags is the most tags that a point can have, and MaxTag the most
	// characters in one.
	MaxTags, MaxTag = 16, 64
	// TagRule is what a tag must look like.
	TagRule = "1 to 64 printable characters with no space at either end, not the id of a point (p123), latest, last-write, or seq: with a number"
)

// IsPointID reports whether name has the form of a point's ID: it means that point,
// and is never a tag.
func IsPointID(name string) bool {
	n, ok := strings.CutPrefix(name, "p")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

// CheckTags returns an Invalid error that names the first tag which breaks TagRule.
func CheckTags(tags []string) error {
	const op = "check"
	for _, t := range tags {
		n := utf8.RuneCountInString(t)
		switch {
		case n == 0 || n > MaxTag || !utf8.ValidString(t) || t != strings.TrimSpace(t),
			strings.ContainsFunc(t, func(r rune) bool { return !unicode.IsPrint(r) }),
			IsPointID(t) || t == Latest || t == LastWrite || strings.HasPrefix(t, "seq:"):
			return Errorf(Invalid, op, "tags", "%+q: must be %s", t, TagRule)
		}
	}
	if len(tags) > MaxTags {
		return Errorf(Invalid, op, "tags", "%d tags: a point can have %d at most", len(tags), MaxTags)
	}
	return nil
}
