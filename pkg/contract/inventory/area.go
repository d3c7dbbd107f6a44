package inventory

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// Area is a run of a disk, in bytes.
type Area struct {
	Off int64 `json:"off"`
	N   int64 `json:"n"`
}

// Clock is a host's clock against the asker's: the host's time is ahead of the
// asker's by at least Min and at most Max.
type Clock struct {
	Host Ref           `json:"host"`
	Name string        `json:"name"`
	Min  time.Duration `json:"minNanos"`
	Max  time.Duration `json:"maxNanos"`
	// NTP are the servers it keeps time with; empty: none.
	NTP []string `json:"ntp,omitempty"`
	// Error is why it could not be measured.
	Error string `json:"error,omitempty"`
}

// Filter is an I/O filter at a cluster.
type Filter struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Vendor  string `json:"vendor,omitempty"`
	Version string `json:"version,omitempty"`
	// Bundle is where it came from, without user or password.
	Bundle string `json:"bundle,omitempty"`
	// Doing is what the cluster was last told of it: install, upgrade, uninstall.
	Doing string       `json:"doing,omitempty"`
	Hosts []FilterHost `json:"hosts"`
	// Disks that use it.
	Disks []FilterDisk `json:"disks,omitempty"`
}

// SameFilter compares what a disk says with a filter's id or name: an id is
// made of vendor, bulletin, name and version.
func SameFilter(id, filter string) bool {
	return id == filter || strings.Contains(id, "_"+filter+"_") || strings.HasSuffix(id, "_"+filter)
}

// Pending are the hosts on which what the cluster was last told is not done. A
// filter that is uninstalled from all hosts is not listed any more.
func (f Filter) Pending() []FilterHost {
	var out []FilterHost
	for _, h := range f.Hosts {
		done := h.State == "installed"
		if f.Doing == "uninstall" {
			done = h.State == "missing" && len(h.Issues) == 0
		}
		if !done {
			out = append(out, h)
		}
	}
	return out
}

// Waits says whether a host only has to enter maintenance mode.
func (h FilterHost) Waits() bool {
	return h.State == "pending" && slices.ContainsFunc(h.Issues, func(s string) bool { return strings.Contains(strings.ToLower(s), "maintenance mode") })
}

// FilterHost is a filter on one host.
type FilterHost struct {
	Host  Ref    `json:"host"`
	Name  string `json:"name"`
	State string `json:"state"` // installed, missing, failed, pending
	// Issues are what stands in the way, in words: maintenance mode, a reboot, ...
	Issues      []string `json:"issues,omitempty"`
	Maintenance bool     `json:"maintenance,omitempty"`
}

// FilterDisk is a disk that a filter sees.
type FilterDisk struct {
	VM   string `json:"vm"`
	Disk string `json:"disk"` // its label
	Path string `json:"path,omitempty"`
}

// Appliance is a transporter: the VM that tidemark of a site runs on.
type Appliance struct {
	Name    string `json:"name"`
	VM      Ref    `json:"vm"`
	UUID    string `json:"uuid"`
	Host    string `json:"host"`
	Power   string `json:"power"`
	Version string `json:"version,omitempty"`
	// Answers: its journal service was heard on the bus.
	Answers bool `json:"answers"`
	// Holds are the groups whose journals it keeps.
	Holds []string `json:"holds,omitempty"`
}

// Missing is a privilege that the site's user lacks.
type Missing struct {
	Privilege string `json:"privilege"`
	Purpose   string `json:"purpose"`
	Entity    string `json:"entity"`
	// Roles are those that need it, of what was asked for.
	Roles []Role `json:"roles,omitempty"`
}
