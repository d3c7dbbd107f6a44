package main

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/event"
)

// The help of events names every area that there is.
func TestEventsHelpNamesTheAreas(t *testing.T) {
	out, _ := do(t, 0, "", "events", "--help")
	_, areas, _ := strings.Cut(out, "Areas: ")
	areas, _, _ = strings.Cut(areas, ".")
	for _, p := range event.Catalog() {
		if rest, ok := strings.CutPrefix(p.EventType(), "tidemark.evt.v1."); ok {
			if area, _, _ := strings.Cut(rest, "."); !strings.Contains(", "+areas+",", ", "+area+",") {
				t.Errorf("%s is not among %q", area, areas)
			}
		}
	}
}
