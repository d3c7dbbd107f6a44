package cdp

import (
	"strings"
	"testing"
)

func TestTagRule(t *testing.T) {
	for _, good := range []string{"a", "p", "p3x", "before upgrade", "Übernahme", strings.Repeat("é", MaxTag), "latest2", "seq"} {
		if err := CheckTags([]string{good}); err != nil || IsPointID(good) {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "p0", "p007", Latest, LastWrite, "seq:", " a", "a ", "a\tb", "a\x7f", "a\u0085", "\xff", strings.Repeat("é", MaxTag+1)} {
		if err := CheckTags([]string{"good", bad}); !Is(err, Invalid) || !strings.Contains(err.Error(), TagRule) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := CheckTags(make([]string, 0, MaxTags)); err != nil {
		t.Error(err)
	}
	if err := CheckTags(strings.Split(strings.Repeat("a ", MaxTags)+"a", " ")); !Is(err, Invalid) {
		t.Error("too many:", err)
	}
}

func TestRequestIDsAreText(t *testing.T) {
	want := RequestOf("01JD")
	text, _ := want.MarshalText()
	var got RequestID
	if err := got.UnmarshalText(text); err != nil || got != want || len(text) != 16 || want == RequestOf("01JE") || RequestOf("") != 0 {
		t.Error(got, want, string(text), err)
	}
	if err := got.UnmarshalText([]byte("12")); !Is(err, Invalid) {
		t.Error(err)
	}
}
