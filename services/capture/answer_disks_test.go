package capture

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// Who asks about disks learns which are captured for other targets, but neither
// their names nor those of their jobs.
func TestSourcesOfOtherTargetsComeWithoutNames(t *testing.T) {
	look := func(paths []string, closely bool) (out []api.DiskFacts) {
		for _, path := range paths {
			out = append(out, api.DiskFacts{Path: path, ID: "id of " + path, Holds: closely})
		}
		return out
	}
	s := &Service{deps: Deps{Look: look}, jobs: newKeptJobs()}
	for target, path := range map[cdp.Site]string{"dr": "/ours", "branch": "/theirs"} {
		j := spec.ReplicationJob{Name: "of " + string(target), Source: spec.Source{Disks: []spec.SourceDisk{{Path: path}, {Size: 512}}}}
		j.Target.Site = target
		s.jobs.set(j.Group(), j)
	}
	out, err := s.answerDisks(t.Context(), api.DisksRequest{Target: "dr", Paths: []string{"/new"}, Known: []string{"/ours"}})
	r, _ := out.(api.DisksReply)
	if err != nil || len(r.Disks) != 2 || len(r.Others) != 1 || !r.Disks[0].Holds || r.Disks[1].Holds {
		t.Fatalf("%+v, %v", out, err)
	}
	if o := r.Others[0]; o.Target != "branch" || o.Disk.ID != "id of /theirs" || o.Disk.Path != "" {
		t.Errorf("%+v", o)
	}
}
