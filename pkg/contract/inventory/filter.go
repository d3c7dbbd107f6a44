package inventory

import (
	"slices"
	"strings"
)

// Filter is an I/O filter on a cluster.
type Filter struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Vendor  string `json:"vendor,omitempty"`
	Version string `json:"version,omitempty"`
	// Bundle is the URL that it was installed from, without user and password.
	Bundle string `json:"bundle,omitempty"`
	// Doing is the last operation requested on the cluster: install, upgrade or
	// uninstall.
	Doing string       `json:"doing,omitempty"`
	Hosts []FilterHost `json:"hosts"`
	// Disks are those that the filter is attached to.
	Disks []FilterDisk `json:"disks,omitempty"`
}

// FilterHost is a filter's state on one host.
type FilterHost struct {
	Host  Ref         `json:"host"`
	Name  string      `json:"name"`
	State FilterState `json:"state"`
	// Issues are the vCenter's own words for what blocks the host: maintenance
	// mode, a reboot, ...
	Issues      []string `json:"issues,omitempty"`
	Maintenance bool     `json:"maintenance,omitempty"`
}

// FilterDisk is a disk that a filter is attached to.
type FilterDisk struct {
	VM   string `json:"vm"`
	Disk string `json:"disk"` // its label
	Path string `json:"path,omitempty"`
}

// SameFilter reports whether id, as a disk shows it, means a filter that is given
// by id or name. An id is made of vendor, bulletin, name and version.
func SameFilter(id, filter string) bool {
	return id == filter || strings.Contains(id, "_"+filter+"_") || strings.HasSuffix(id, "_"+filter)
}

// Pending are the hosts on which the last requested operation is not complete. A
// filter that is uninstalled from every host is no longer listed at all.
func (f Filter) Pending() []FilterHost {
	var out []FilterHost
	for _, h := range f.Hosts {
		done := h.State == FilterInstalled
		if f.Doing == "uninstall" {
			done = h.State == FilterMissing && len(h.Issues) == 0
		}
		if !done {
			out = append(out, h)
		}
	}
	return out
}

// NeedsMaintenance reports whether the host waits for maintenance mode and for
// nothing else.
func (h FilterHost) NeedsMaintenance() bool {
	return h.State == FilterPending && slices.ContainsFunc(h.Issues, func(s string) bool { return strings.Contains(strings.ToLower(s), "maintenance mode") })
}
