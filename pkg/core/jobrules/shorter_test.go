package jobrules

import (
	"testing"
	"time"

	"tidemark.dev/pkg/contract/spec"
)

// Whatever makes a journal keep less is named, and nothing else is.
func TestWhatMakesAJournalShorter(t *testing.T) {
	was := spec.Journal{History: spec.Duration(24 * time.Hour), Size: 10 << 30}
	for _, x := range []struct {
		change func(*spec.Journal)
		want   string
	}{
		{func(j *spec.Journal) { j.History /= 24 }, "history 1d to 1h"},
		{func(j *spec.Journal) { j.Size /= 2 }, "size 10GiB to 5GiB"},
		{func(j *spec.Journal) { j.History, j.Size = j.History-1, 1<<20 }, "history 1d to 23h59m59.999999999s, size 10GiB to 1MiB"},
		{func(j *spec.Journal) { j.History, j.Size = 2*j.History, 0 }, ""},
		{func(j *spec.Journal) { j.MergeEvery, j.Mode = 5, "roll-forward" }, ""},
	} {
		j := was
		x.change(&j)
		if got := Shorter(j, was); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
	if got := Shorter(was, spec.Journal{History: was.History}); got != "size no limit to 10GiB" {
		t.Error(got)
	}
}
