package node

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// What the scheduler wrote itself counts at once, and an older report of the watch does
// not undo it.
func TestAJobListKnowsTheNewestRevision(t *testing.T) {
	l := newJobList(nil, "dr")
	close(l.synced)
	job := func(name string, target cdp.Site, listen string) *spec.ReplicationJob {
		return &spec.ReplicationJob{Name: name, Source: spec.Source{Listen: listen}, Target: spec.Target{Site: target}}
	}
	l.note("web", 3, job("web", "dr", "/new"))
	l.note("web", 2, job("web", "dr", "/old"))
	l.note("db", 4, job("db", "dr", ""))
	l.note("far", 5, job("far", "prod", ""))
	l.note("gone", 6, job("gone", "dr", ""))
	l.note("gone", 6, nil)                   // deleted here, over revision 6
	l.note("gone", 6, job("gone", "dr", "")) // the watch is late
	all, err := l.list(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "db" || all[1].Name != "web" || all[1].Source.Listen != "/new" {
		t.Errorf("%v %+v", err, all)
	}
	l.note("gone", 8, job("gone", "dr", "")) // applied again
	if all, _ := l.list(t.Context()); len(all) != 3 {
		t.Errorf("%+v", all)
	}
}
