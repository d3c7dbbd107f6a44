package scheduler_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/spoolshare"
)

// A new job is refused when its source site has no useful share of its spool left
// for one more, and changes nothing then. Jobs that exist are changed as ever, and a
// site that does not answer refuses nothing.
func TestAJobThatGetsNoShareOfTheSpoolIsRefused(t *testing.T) {
	o := newOwner(t)
	budget := spoolshare.Budget(3 * spoolshare.Least)
	o.spool = budget.Divide(3)
	r := o.apply(disksDoc, false)
	if len(r.Problems) != 1 || r.Problems[0].Rule != "room" || r.Problems[0].Hint == "" || r.Change != "" || len(o.jobs.m) != 0 {
		t.Fatalf("a fourth job for three shares: %+v, %d jobs written", r, len(o.jobs.m))
	}
	o.spool = budget.Divide(2)
	if r := o.apply(disksDoc, false); r.Change != api.Created {
		t.Fatalf("a third job for three shares: %+v", r)
	}
	o.spool = budget.Divide(3)
	if r := o.apply(disksDoc, false); r.Change != api.Unchanged {
		t.Fatalf("the same job again: %+v", r)
	}

	o = newOwner(t)
	o.spool, o.away = budget.Divide(3), cdp.Errorf(cdp.Transient, "ask", "prod", "nobody answers")
	if r := o.apply(disksDoc, false); r.Change != api.Created {
		t.Fatalf("a job whose source does not answer: %+v", r)
	}
}

// A job that was applied a moment ago has its share, even if the source site has not
// heard of it yet: the jobs of one file are applied faster than they cross the link.
func TestJobsThatTheSourceHasNotHeardOfTakeTheirShare(t *testing.T) {
	o := newOwner(t)
	o.spool = spoolshare.Budget(spoolshare.Least).Divide(0)
	if r := o.apply(disksDoc, false); r.Change != api.Created {
		t.Fatalf("the first job: %+v", r)
	}
	second := strings.NewReplacer(`"web"`, `"shop"`, `"/a"`, `"/c"`, `"/b"`, `"/d"`).Replace(disksDoc)
	if r := o.apply(second, false); len(r.Problems) != 1 || r.Problems[0].Rule != "room" || len(o.jobs.m) != 1 {
		t.Fatalf("a second job for one share: %+v, %d jobs written", r, len(o.jobs.m))
	}
}
