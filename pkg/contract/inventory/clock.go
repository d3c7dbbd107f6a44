package inventory

import "time"

// Clock is a host's clock compared with the clock of the service that measured
// it: the host is ahead by at least Min and at most Max.
type Clock struct {
	Host Ref           `json:"host"`
	Name string        `json:"name"`
	Min  time.Duration `json:"minNanos"`
	Max  time.Duration `json:"maxNanos"`
	// NTP are the host's time servers; empty: none.
	NTP []string `json:"ntp,omitempty"`
	// Error is why the host could not be measured.
	Error string `json:"error,omitempty"`
}
