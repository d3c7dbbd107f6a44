package bus

import (
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// apiPrefix is where the JetStream of owner is asked from site: its own, or as
// much of a peer's as crosses the link.
func apiPrefix(site, owner cdp.Site) string {
	if site == owner {
		return subjects.API
	}
	return subjects.PeerAPI(owner)
}

// token makes s fit to be one token of a subject.
func token(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '.' || r == '*' || r == '>' || r <= ' ' || r == 0x7f:
			return '-'
		}
		return r
	}, s)
}
