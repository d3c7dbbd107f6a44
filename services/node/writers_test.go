package node

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
)

// newDisks answers for capture and journal: everywhere is a new disk of 1 MiB.
func newDisks(_ context.Context, r api.DisksRequest) (any, error) {
	var out api.DisksReply
	for _, p := range append(r.Paths, r.Known...) {
		out.Disks = append(out.Disks, api.DiskFacts{Path: p, Kind: api.PathFile, ID: p, Size: 1 << 20})
	}
	return out, nil
}

// TestSpecsHaveOneWriter: on a bus with permissions, specs are written by their
// owners, for whoever asks: the operator, and the vcenter service for the jobs of
// single VMs. Nobody else can write them.
func TestSpecsHaveOneWriter(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	e := &env{site: "dr", peers: []cdp.Site{"prod"}, dir: t.TempDir(), clock: clock.System, log: slog.New(slog.DiscardHandler), tel: telemetry.Off(),
		dial: bus.Config{Server: s.DR}, creds: s.Config("dr").Credentials}
	vcenter := s.Connect("dr", subjects.VCenter)
	ended := make(chan error, 4)
	rctx, stop := context.WithCancel(ctx)
	go func() { ended <- runScheduler(rctx, e) }()
	go func() { ended <- ServeSites(rctx, vcenter, "dr") }()
	for site, service := range map[cdp.Site]string{"prod": subjects.Capture, "dr": subjects.Journal} {
		conn := s.Connect(site, service)
		go func() {
			ended <- conn.Serve(rctx, service, map[string]api.Endpoint{api.CaptureDisks: api.Answer(newDisks)})
		}()
	}
	defer func() {
		stop()
		for range cap(ended) {
			<-ended
		}
	}()

	operator, err := client.Connect(ctx, client.Config{Site: "dr", Bus: client.SiteRef{URL: s.DR.ClientURL(), Credential: s.Credential("dr", subjects.Operator), Peers: e.peers}})
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	objects, err := spec.Parse("test", []byte(`
apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: prod}
spec: {kind: block}
---
apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: web}
spec:
  source: {site: prod, capture: inline, disks: [{name: a, path: /a}]}
  target: {site: dr, disks: [{name: a, path: /b}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	replies, err := operator.Apply(ctx, objects, false)
	if err != nil || len(replies) != 2 || replies[1].Change != api.Created {
		t.Fatal(replies, err)
	}
	group := *objects[1].Job
	group.Name, group.Of = "shop-web01", "shop"
	group.Target.Disks = []spec.TargetDisk{{Name: "a", Path: "/c"}} // a replica of its own
	vms := vmGroups{specs: specs[spec.ReplicationJob]{e: e}, conn: vcenter}
	if err := vms.Put(ctx, group); err != nil {
		t.Error(err)
	}
	if jobs, err := operator.Jobs(ctx); err != nil || len(jobs) != 2 {
		t.Error(jobs, err)
	}
	for _, service := range []string{subjects.Operator, subjects.VCenter, subjects.Capture} {
		b, err := bus.OpenBucket[spec.ReplicationJob](ctx, s.Connect("dr", service), "dr", subjects.BucketSpec, subjects.KeyJob)
		if err != nil {
			t.Fatal(err)
		}
		short, end := context.WithTimeout(ctx, 300*time.Millisecond)
		if _, err := b.Put(short, "mine", group); err == nil {
			t.Errorf("%s wrote a job", service)
		}
		end()
	}
	if err := vms.Delete(ctx, "shop-web01"); err != nil {
		t.Error(err)
	}
	if err := operator.DeleteSite(ctx, "prod"); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
}
