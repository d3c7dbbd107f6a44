package client

import (
	"strings"
	"testing"
)

// A site whose machines do not all name the same approvers is told; one that names none is
// left alone.
func TestMissingApproversAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		says    [][]string
		problem string
	}{
		"nobody chose any":          {[][]string{{""}, {"", ""}, {""}}, ""},
		"all machines name them":    {[][]string{{"ana, ben"}, {"ana, ben"}, {"ana, ben"}}, ""},
		"nobody answers":            {[][]string{nil, nil, nil}, ""},
		"one service lacks them":    {[][]string{{"ana, ben"}, {""}, {"ana, ben"}}, "where journal runs"},
		"one of two instances does": {[][]string{{"ana, ben"}, {"ana, ben", ""}, {"ana, ben"}}, "where journal runs"},
		"two lists":                 {[][]string{{"ana, ben"}, {"ana, eve"}, {"ana, ben"}}, "different approvers: ana, ben; ana, eve"},
	} {
		got := approvers([]string{"failover", "journal", "scheduler"}, c.says).Problem()
		if (got == "") != (c.problem == "") || !strings.Contains(got, c.problem) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
