package vcsim

import (
	"archive/zip"
	"bytes"
	"crypto/tls"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (m *filterManager) QueryIoFilterInfo(ctx *simulator.Context, req *types.QueryIoFilterInfo) soap.HasFault {
	if _, ok := ctx.Map.Get(req.CompRes).(*simulator.ClusterComputeResource); !ok {
		return &methods.QueryIoFilterInfoBody{Fault_: soapFault(&types.InvalidArgument{InvalidProperty: "compRes"})}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	res := &types.QueryIoFilterInfoResponse{}
	for _, f := range m.installed[req.CompRes] {
		res.Returnval = append(res.Returnval, f.info)
	}
	slices.SortFunc(res.Returnval, func(a, b types.ClusterIoFilterInfo) int { return strings.Compare(a.Id, b.Id) })
	return &methods.QueryIoFilterInfoBody{Res: res}
}

func (m *filterManager) QueryIoFilterIssues(_ *simulator.Context, req *types.QueryIoFilterIssues) soap.HasFault {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.installed[req.CompRes][req.FilterId]
	if f == nil {
		return &methods.QueryIoFilterIssuesBody{Fault_: soapFault(&types.NotFound{})}
	}
	r := types.IoFilterQueryIssueResult{OpType: f.info.OpType}
	for ref, h := range f.hosts {
		if h.issue != nil {
			r.HostIssue = append(r.HostIssue, types.IoFilterHostIssue{Host: ref, Issue: []types.LocalizedMethodFault{*h.issue}})
		}
	}
	slices.SortFunc(r.HostIssue, func(a, b types.IoFilterHostIssue) int { return strings.Compare(a.Host.Value, b.Host.Value) })
	return &methods.QueryIoFilterIssuesBody{Res: &types.QueryIoFilterIssuesResponse{Returnval: r}}
}

func (m *filterManager) QueryDisksUsingFilter(ctx *simulator.Context, req *types.QueryDisksUsingFilter) soap.HasFault {
	c, ok := ctx.Map.Get(req.CompRes).(*simulator.ClusterComputeResource)
	if !ok {
		return &methods.QueryDisksUsingFilterBody{Fault_: soapFault(&types.InvalidArgument{InvalidProperty: "compRes"})}
	}
	return &methods.QueryDisksUsingFilterBody{Res: &types.QueryDisksUsingFilterResponse{Returnval: m.users(c, req.FilterId)}}
}

// users are the disks of a cluster's VMs that have a filter.
func (m *filterManager) users(c *simulator.ClusterComputeResource, id string) []types.VirtualDiskId {
	var r []types.VirtualDiskId
	for _, v := range m.s.states() {
		for _, d := range v.disks {
			if slices.Contains(c.Host, v.host) && slices.Contains(d.filters, id) {
				r = append(r, types.VirtualDiskId{Vm: v.ref, DiskId: d.key})
			}
		}
	}
	return r
}

// find is the id of an installed filter, given the id or name, and whether it works
// on a host.
func (m *filterManager) find(cluster, host types.ManagedObjectReference, name string) (id string, usable bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.installed[cluster] {
		if f.info.Id == name || f.info.Name == name {
			h := f.hosts[host]
			return f.info.Id, h != nil && h.version != "" && f.info.OpType != string(types.IoFilterOperationUninstall)
		}
	}
	return name, false
}

// Bundle is an offline bundle with one I/O filter, in the form that installs
// accept.
func Bundle(vendor, name, version string) []byte {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, _ := z.Create("descriptor.xml")
	_, _ = w.Write([]byte(`<vib version="5.0"><type>bootbank</type><name>` + name + `</name><version>` + version + `</version><vendor>` + vendor + `</vendor></vib>`))
	_ = z.Close()
	return buf.Bytes()
}

type vibDescriptor struct {
	Name    string `xml:"name"`
	Version string `xml:"version"`
	Vendor  string `xml:"vendor"`
}

// fetchBundle fetches a bundle as vCenter does: by HTTP, and only a zip. Its
// content is described by a descriptor.xml inside, or by its name:
// name-version.zip.
func fetchBundle(from string) (types.IoFilterInfo, fault) {
	bad := &types.InvalidArgument{InvalidProperty: "vibUrl"}
	u, err := url.Parse(from)
	if err != nil || !strings.HasSuffix(u.Path, ".zip") {
		return types.IoFilterInfo{}, bad
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, // as with the untrusted SSL policy
	}}
	res, err := client.Get(from)
	if err != nil {
		return types.IoFilterInfo{}, bad
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 256<<20))
	if err != nil || res.StatusCode != http.StatusOK {
		return types.IoFilterInfo{}, bad
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return types.IoFilterInfo{}, bad
	}
	d := vibDescriptor{Name: strings.TrimSuffix(path.Base(u.Path), ".zip"), Version: "1.0.0", Vendor: "unknown"}
	if name, version, ok := strings.Cut(d.Name, "-"); ok {
		d.Name, d.Version = name, version
	}
	if f, err := z.Open("descriptor.xml"); err == nil {
		err = xml.NewDecoder(f).Decode(&d)
		f.Close()
		if err != nil {
			return types.IoFilterInfo{}, bad
		}
	}
	return types.IoFilterInfo{
		Id: d.Vendor + "_bootbank_" + d.Name + "_" + d.Version, Name: d.Name, Vendor: d.Vendor, Version: d.Version,
		Type: string(types.IoFilterTypeReplication), Summary: "Replication filter",
	}, nil
}
