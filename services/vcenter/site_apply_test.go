package vcenter

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/api/apitest"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
)

// sitesInMemory is what a SiteOwner needs.
type sitesInMemory struct {
	sites  map[string]spec.Site
	jobs   []spec.ReplicationJob
	vmJobs []spec.VMJob
	facts  []event.Payload
}

func (m *sitesInMemory) Get(_ context.Context, name string) (spec.Site, uint64, error) {
	s, ok := m.sites[name]
	if !ok {
		return s, 0, cdp.Errorf(cdp.NotFound, "get", name, "none")
	}
	return s, 1, nil
}

func (m *sitesInMemory) Put(_ context.Context, name string, s spec.Site, _ uint64) (uint64, error) {
	m.sites[name] = s
	return 1, nil
}

func (m *sitesInMemory) Delete(_ context.Context, name string, _ uint64) error {
	delete(m.sites, name)
	return nil
}

func (m *sitesInMemory) AllJobs(context.Context) ([]spec.ReplicationJob, error) { return m.jobs, nil }
func (m *sitesInMemory) AllVMJobs(context.Context) ([]spec.VMJob, error)        { return m.vmJobs, nil }

func (m *sitesInMemory) Emit(_ context.Context, p event.Payload) error {
	m.facts = append(m.facts, p)
	return nil
}

func siteDocument(name, kind string) json.RawMessage {
	return json.RawMessage(`{"apiVersion":"tidemark.dev/v1","kind":"Site","metadata":{"name":"` + name + `"},"spec":{"kind":"` + kind + `"}}`)
}

// TestSiteOwner: a good site is written once, a bad one changes nothing, and one
// that a job uses cannot be deleted, whether asked by a request or a command.
func TestSiteOwner(t *testing.T) {
	m := &sitesInMemory{sites: map[string]spec.Site{}}
	o := &SiteOwner{Specs: m, Users: m, Events: m}
	ask := func(endpoint string, req any) (api.ApplyReply, error) {
		t.Helper()
		raw, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		out, err := o.Endpoints()[endpoint](t.Context(), raw)
		if wrong := apitest.Answered(subjects.VCenter, endpoint, raw, out); err == nil && wrong != nil {
			t.Error(wrong)
		}
		r, _ := out.(api.ApplyReply)
		return r, err
	}
	for _, x := range []struct {
		dry  bool
		want api.Change
	}{{true, api.Created}, {false, api.Created}, {false, api.Unchanged}} {
		r, err := ask(api.SiteApply, api.ApplyRequest{Document: siteDocument("prod", "block"), DryRun: x.dry})
		if err != nil || r.Change != x.want || r.Name != "prod" || x.dry != (len(m.sites) == 0) {
			t.Errorf("%+v: %+v, %v", x, r, err)
		}
	}
	r, err := ask(api.SiteApply, api.ApplyRequest{Document: siteDocument("Prod!", "tape")})
	if err != nil || len(r.Problems) != 2 || r.Problems[0].Path == "" || r.Problems[0].Rule == "" || r.Change != "" || !cdp.Is(r.Err(), cdp.Invalid) {
		t.Errorf("%+v, %v", r, err)
	}
	command := func(p event.Payload) event.Event {
		e, err := event.New("1", time.Now(), "/dr/test", p)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if err := o.ApplySite(t.Context(), command(event.SiteApply{Site: "dr", Document: siteDocument("prod", "block")})); !cdp.Is(err, cdp.Invalid) {
		t.Error("another site's document:", err)
	}
	if err := o.ApplySite(t.Context(), command(event.SiteApply{Site: "dr", Document: siteDocument("dr", "block")})); err != nil || len(m.sites) != 2 {
		t.Error(err, m.sites)
	}
	m.jobs = []spec.ReplicationJob{{Name: "shop-web01", Of: "shop", Source: spec.Source{Site: "prod"}, Target: spec.Target{Site: "dr", VM: "web01-replica"}}}
	if _, err := ask(api.SiteDelete, api.SiteRequest{Site: "prod"}); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "the job shop, by the replica web01-replica, uses it") {
		t.Error(err)
	}
	m.jobs, m.vmJobs = nil, []spec.VMJob{{SourceSite: "prod", TargetSite: "dr"}}
	if err := o.DeleteSite(t.Context(), command(event.SiteDelete{Site: "dr"})); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	m.vmJobs = nil
	if err := o.DeleteSite(t.Context(), command(event.SiteDelete{Site: "dr"})); err != nil || len(m.sites) != 1 {
		t.Error(err, m.sites)
	}
	if _, err := ask(api.SiteDelete, api.SiteRequest{Site: "dr"}); !cdp.Is(err, cdp.NotFound) {
		t.Error(err)
	}
	if len(m.facts) != 3 {
		t.Errorf("%+v", m.facts)
	}
}
