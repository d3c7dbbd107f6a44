package vsphere

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// states are the states of a filter on each host of the cluster, by name.
func (cl *filterCluster) states(info types.ClusterIoFilterInfo, issues types.IoFilterQueryIssueResult) []inventory.FilterHost {
	out := make([]inventory.FilterHost, 0, len(cl.hosts))
	told := slices.ContainsFunc(cl.hosts, func(h mo.HostSystem) bool { return h.Config != nil && len(h.Config.IoFilterInfo) > 0 })
	for _, h := range cl.hosts {
		fh := inventory.FilterHost{Host: refOf(&h.Self), Name: inventory.Unescape(h.Name), Maintenance: h.Runtime.InMaintenanceMode}
		fh.State = stateOn(h, info, issues.OpType, told)
		waits := true
		for _, i := range issues.HostIssue {
			if i.Host != h.Self {
				continue
			}
			for _, f := range i.Issue {
				text, passes := issueWords(f)
				fh.Issues = append(fh.Issues, text)
				waits = waits && passes
			}
		}
		if len(fh.Issues) > 0 {
			fh.State = inventory.FilterFailed
			if waits {
				fh.State = inventory.FilterPending
			}
		}
		switch {
		case fh.State == inventory.FilterInstalled:
		case h.Runtime.ConnectionState != types.HostSystemConnectionStateConnected:
			fh.Issues = append(fh.Issues, "the host is "+string(h.Runtime.ConnectionState))
		case h.Summary.RebootRequired:
			fh.Issues = append(fh.Issues, "the host must be rebooted")
		case fh.Maintenance && len(fh.Issues) == 0:
			fh.Issues = append(fh.Issues, "the host is in maintenance mode")
		}
		out = append(out, fh)
	}
	slices.SortFunc(out, func(a, b inventory.FilterHost) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// stateOn is what the host itself reports. A host without filters reports nothing;
// if no host reports anything, it is the state that the cluster intends.
func stateOn(h mo.HostSystem, info types.ClusterIoFilterInfo, op string, told bool) inventory.FilterState {
	if h.Config != nil {
		for _, has := range h.Config.IoFilterInfo {
			switch {
			case has.Id != info.Id:
			case has.Available:
				return inventory.FilterInstalled
			default:
				return inventory.FilterPending
			}
		}
	}
	if told || h.Runtime.ConnectionState != types.HostSystemConnectionStateConnected || op == string(types.IoFilterOperationUninstall) {
		return inventory.FilterMissing
	}
	return inventory.FilterInstalled
}

// issueWords is an issue in plain words, and whether it resolves itself once
// something else is done.
func issueWords(f types.LocalizedMethodFault) (text string, passes bool) {
	text = strings.TrimSpace(f.LocalizedMessage)
	name := ""
	if f.Fault != nil {
		name = faultName(f.Fault)
	}
	say := func(words string) string {
		if text == "" || text == name {
			return words
		}
		return words + ": " + text
	}
	low := strings.ToLower(text)
	switch {
	case name == "RebootRequired", strings.Contains(low, "reboot"):
		return cmp.Or(text, "the host must be rebooted"), true
	case name == "NoMaintenanceModeDrsRecommendationForVM":
		return say("the host cannot be evacuated: DRS cannot move a VM on it"), true
	case strings.Contains(low, "maintenance"):
		return cmp.Or(text, "the host must enter maintenance mode"), true
	case name == "InvalidState", name == "InvalidHostState":
		return say("the host is in a state that does not allow it (maintenance mode?)"), true
	case name == "HostNotConnected", name == "HostCommunication", name == "HostNotReachable":
		return say("the host is not connected"), true
	case name == "PatchInstallFailed", name == "PlatformConfigFault":
		return say("the installation failed"), false
	case text != "":
		return text, false
	case name != "":
		return "the vCenter says " + name, false
	}
	return "the vCenter does not say why", false
}
