package vcenter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/services/vcenter"
)

// slashed is a vCenter with a tag category that has a slash in its name.
type slashed struct{ vcenter.VCenter }

func (slashed) Tags(_ context.Context, category string) ([]string, error) {
	if category == "team/eu" {
		return []string{"gold"}, nil
	}
	return nil, cdp.Errorf(cdp.NotFound, "read tags", category, "there is no such category")
}

// A problem of one VM concerns no other of its name, and a warning no VM.
func TestProblemsConcernTheVMsThatHaveThem(t *testing.T) {
	w := newWorld(t)
	bad, good := web("db"), web("db")
	bad.Folder, good.Folder, good.Datastore = "prod/x", "prod/y", w.a.sim.Datastores()[1]
	bad.Disks[0].Mode = "independent_persistent"
	_, err := w.a.sim.AddVM(bad)
	w.must(err)
	src, err := w.a.sim.AddVM(good)
	w.must(err)
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	_, err = w.a.c.Snapshot(w.ctx, v.Ref, "from before tracking", "", false)
	w.must(err)
	w.a.stop()
	w.a.vc = slashed{w.a.c}
	w.a.start()
	job := shop(w.b)
	if r := w.checked(job); fmt.Sprint(r.VMs) != "[db]" || !strings.Contains(told(r.Warnings), "every pass compares whole disks") ||
		!strings.Contains(told(r.Problems), "independent") {
		t.Errorf("%+v", r)
	}
	w.apply(job)
	w.until("the good one is ready", func() bool { _, there := w.vm(w.b, "db-replica"); return there && w.states()["db"] == "ready" })
	job.Job.Source.VMs = []inventory.Selector{{Tag: "team/eu/gold"}, {Tag: "team/eu/glod"}}
	if r := w.checked(job); len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Text, `the category team/eu has no tag "glod", but gold`) {
		t.Errorf("%+v", r.Problems)
	}
}
