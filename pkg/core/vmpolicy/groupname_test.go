package vmpolicy_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/vmpolicy"
)

// TestGroupName: always a name, never one that is taken by another VM.
func TestGroupName(t *testing.T) {
	if g := vmpolicy.GroupName("shop", "web01", "u", func(string) bool { return false }); g != "shop-web01" {
		t.Error(g)
	}
	rapid.Check(t, func(t *rapid.T) {
		job := rapid.StringMatching(`[a-z][a-z0-9-]{0,39}`).Draw(t, "job")
		taken := map[string]bool{}
		for i := range 6 {
			vm := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9 _.-]{0,60}`), rapid.String()).Draw(t, "vm")
			g := vmpolicy.GroupName(job, vm, fmt.Sprint("uuid-", i), func(s string) bool { return taken[s] })
			if err := cdp.CheckName("group", string(g)); err != nil || taken[string(g)] {
				t.Fatal(err, g)
			}
			taken[string(g)] = true
		}
	})
}
