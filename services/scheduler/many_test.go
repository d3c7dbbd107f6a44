package scheduler_test

import (
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/api"
)

// Each job of a large file is compared with all others, but their disks are not looked
// at anew each time. A path where nothing was is: a replica may have been made there.
func TestManyJobsAreAppliedWithFewLooks(t *testing.T) {
	const jobs = 16
	o := newOwner(t)
	for i := range jobs {
		n := fmt.Sprintf("n%d", i)
		o.disks = map[string]api.DiskFacts{}
		for k := range i { // the journal has made the replicas of those before
			p := fmt.Sprintf("/r%d", k)
			o.disks[p] = api.DiskFacts{Kind: api.PathFile, ID: "made " + p}
		}
		doc := strings.NewReplacer(`"web"`, `"`+n+`"`, `"/a"`, `"/s`+n+`"`, `"/b"`, fmt.Sprintf(`"/r%d"`, i)).Replace(disksDoc)
		if r := o.apply(doc, false); r.Change != api.Created {
			t.Fatalf("%s: %+v", n, r)
		}
	}
	if most := 12 * jobs; o.looked.Load() > int64(most) {
		t.Errorf("%d jobs had %d paths looked at, at most %d expected", jobs, o.looked.Load(), most)
	}
	o.disks["/another-name"] = api.DiskFacts{Kind: api.PathFile, ID: "made /r7"}
	doc := strings.NewReplacer(`"web"`, `"thief"`, `"/a"`, `"/thief"`, `"/b"`, `"/another-name"`).Replace(disksDoc)
	if r := o.apply(doc, false); len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Text, "job n7") {
		t.Errorf("the replica of another job, made since, is taken: %+v", r)
	}
}
