package vcenter_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/contract/api"
)

// bundles serves I/O filters as their makers do.
func bundles(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := "1.0.0"
		if r.URL.Path == "/tap-2.zip" {
			version = "2.0.0"
		}
		_, _ = w.Write(vcsim.Bundle("TMK", "tap", version))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// inTurn puts one host after the other into maintenance mode, as an operator
// does, and lets f do something meanwhile.
func (e *end) inTurn(f func()) {
	e.w.t.Helper()
	u, err := url.Parse(e.sim.URL())
	e.w.must(err)
	u.User = url.UserPassword(e.sim.User(), e.sim.Password())
	c, err := govmomi.NewClient(e.w.ctx, u, true)
	e.w.must(err)
	defer c.CloseIdleConnections()
	defer func() { _ = c.Logout(e.w.ctx) }()
	hosts, err := find.NewFinder(c.Client).HostSystemList(e.w.ctx, "/*/host/*/*")
	e.w.must(err)
	for _, h := range hosts {
		task, err := h.EnterMaintenanceMode(e.w.ctx, 0, false, nil)
		e.w.must(err)
		e.w.must(task.Wait(e.w.ctx))
		f()
		task, err = h.ExitMaintenanceMode(e.w.ctx, 0)
		e.w.must(err)
		e.w.must(task.Wait(e.w.ctx))
	}
}

func TestLifeOfAnIOFilter(t *testing.T) {
	w := newWorld(t)
	url := bundles(t)
	cl := w.inventory(w.a).Clusters[0].Name
	for _, r := range []api.FilterRequest{
		{Cluster: cl, Do: "install"}, {Cluster: cl, Do: "paint"}, {Cluster: cl, Do: "uninstall"},
		{Cluster: "nowhere", Do: "install", Bundle: url},
	} {
		if w.a.refused(api.FilterChange, r) == nil {
			t.Errorf("%+v was done", r)
		}
	}
	install := api.FilterRequest{Cluster: cl, Do: "install", Bundle: url + "/tap-1.zip", ID: "one"}
	w.a.progress(api.FilterChange, install)
	w.a.progress(api.FilterChange, install)
	status := func() api.FiltersReply {
		st, err := ask[api.FiltersReply](w.ctx, w.a, api.FilterStatus, api.FilterRequest{Cluster: cl})
		w.must(err)
		return st
	}
	st := status()
	if len(st.Filters) != 1 || st.Cannot != "" || st.Filters[0].Hosts[0].State == "installed" || !w.reported("partly-installed") {
		t.Fatalf("%+v", st)
	}
	id := st.Filters[0].ID
	w.a.inTurn(func() {
		w.a.progress(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "resolve", Filter: id})
	})
	for _, h := range status().Filters[0].Hosts {
		if h.State != "installed" {
			t.Errorf("%+v", h)
		}
	}
	w.a.progress(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "uninstall", Filter: id})
	if f := status().Filters[0]; f.Doing != "uninstall" || len(f.Pending()) != len(f.Hosts) || !w.reported("partly-removed") {
		t.Errorf("it is to go, and waits: %+v", f)
	}
	if err := w.a.refused(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "install", Bundle: url + "/tap-1.zip", ID: "two"}); err == nil || !strings.Contains(err.Error(), "still being uninstalled") {
		t.Error(err)
	}
	w.a.inTurn(func() {
		if len(status().Filters) > 0 {
			w.a.progress(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "resolve", Filter: id})
		}
	})
	w.must(w.a.sim.VLCM("", true))
	w.until("the cluster is reported as image-managed", func() bool { return status().Cannot != "" })
	if w.a.refused(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "install", Bundle: url}) == nil {
		t.Error("it was tried all the same")
	}
}
