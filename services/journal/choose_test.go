package journal

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// An id means its point even where an older version stored it as the tag of another.
func TestAnIDIsNeverATag(t *testing.T) {
	ps := []cdp.Point{{Frame: 1, Tags: []string{"a"}}, {Frame: 3}, {Frame: 7, Tags: []string{"p3", "p4", "latest", "a"}}, {Frame: 9}}
	for name, want := range map[string]cdp.FrameNo{"p3": 3, "latest": 9, "a": 7, "p9": 9} {
		if p, err := choose(ps, name); err != nil || p.Frame != want {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	if p, err := choose(ps, "p4"); !cdp.Is(err, cdp.NotFound) {
		t.Error(p, err)
	}
}

// proven is the newest point whose last test passed, and no point without one.
func TestTheNewestPointThatPassedItsTestIsChosen(t *testing.T) {
	tested := func(v cdp.Verdict) *cdp.PointTest { return &cdp.PointTest{Verdict: v} }
	ps := []cdp.Point{{Frame: 1, Tested: tested(cdp.Passed)}, {Frame: 2, Tested: tested(cdp.Passed)}, {Frame: 3, Tested: tested(cdp.Failed)}, {Frame: 4}}
	if p, err := choose(ps, cdp.Proven); err != nil || p.Frame != 2 {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := choose(ps[2:], cdp.Proven); !cdp.Is(err, cdp.NotFound) || !strings.Contains(err.Error(), "has passed a test") {
		t.Error(err)
	}
}
