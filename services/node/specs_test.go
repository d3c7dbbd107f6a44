package node

import (
	"log/slog"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
)

// Two sites protect each other, and both call a job shop. Each site's own job is
// the one whose target it is; the other one it knows as the source only.
func TestJobsOfOneNameAtTwoSitesAreTwoJobs(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	put := func(source, target cdp.Site) {
		t.Helper()
		b, err := bus.OpenBucket[spec.VMJob](t.Context(), s.Connect(target, subjects.Scheduler), target, subjects.BucketSpec, subjects.KeyVMJob)
		if err == nil {
			_, err = b.Put(t.Context(), "shop", spec.VMJob{Job: inventory.Job{Name: "shop"}, RPO: spec.Duration(time.Minute), SourceSite: source, TargetSite: target})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	e := &env{clock: clock.System, site: "dr", peers: []cdp.Site{"prod"}, log: slog.New(slog.DiscardHandler)}
	all, err := openSpecs[spec.VMJob](t.Context(), e, s.Connect("dr", subjects.VCenter), subjects.KeyVMJob)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := openSpecs[spec.ReplicationJob](t.Context(), e, s.Connect("dr", subjects.VCenter), subjects.KeyJob)
	if err != nil {
		t.Fatal(err)
	}
	own, sourced := vmJobs{all}, sourceSpecs{all, groups}

	put("dr", "prod") // applied at prod: dr is its source
	bustest.Eventually(t, "the copy of prod's job", func() bool {
		j, err := sourced.VMJob(t.Context(), "prod", "shop")
		return err == nil && j.TargetSite == "prod"
	})
	if j, err := own.Get(t.Context(), "shop"); !cdp.Is(err, cdp.NotFound) {
		t.Errorf("dr takes the job of prod for its own: %+v, %v", j, err)
	}

	put("prod", "dr")
	if j, err := own.Get(t.Context(), "shop"); err != nil || j.SourceSite != "prod" {
		t.Errorf("%+v, %v", j, err)
	}
	if j, err := sourced.VMJob(t.Context(), "prod", "shop"); err != nil || j.TargetSite != "prod" {
		t.Errorf("as the source dr is given its own job: %+v, %v", j, err)
	}
}
