package bus

import (
	"strings"

	"tidemark.dev/pkg/cdp"
)

// apiPrefix is how JetStream of a domain is addressed from anywhere.
func apiPrefix(domain cdp.Site) string { return "$JS." + string(domain) + ".API" }

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
