package capture

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// hardToThaw removes what passes left at the third try.
type hardToThaw struct {
	noVM
	mu    sync.Mutex
	asked []Machine
}

func (h *hardToThaw) Thaw(_ context.Context, m Machine, _ string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked = append(h.asked, m); len(h.asked) < 3 {
		return cdp.Errorf(cdp.Transient, "thaw", m.VM, "the vCenter is down")
	}
	return nil
}

// A job on a VM is deleted, also while capture is down: what its passes left is
// asked to be removed until it is, and only then the job is forgotten.
func TestADeletedJobsPassesAreRemoved(t *testing.T) {
	for _, known := range []bool{true, false} {
		h := &hardToThaw{}
		s, x := newService(t, func(d *Deps) { d.Snapshots = h })
		ctx, cancel := context.WithCancel(t.Context())
		if known {
			s.jobs.set("shop-web01", spec.ReplicationJob{Source: spec.Source{VM: "5000", Capture: cdp.CBT}, Target: spec.Target{Site: "dr"}})
		}
		chain := filepath.Join(s.cfg.StateDir, "shop-web01.passes")
		if err := os.MkdirAll(s.cfg.StateDir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(chain, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.apply(ctx, jobKey{"dr", "shop-web01"}, nil)
		for {
			if _, err := os.Stat(chain); err != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		s.tasks.Wait()
		want := Machine{Group: "shop-web01"}
		if known {
			want.VM = "5000"
		}
		if len(h.asked) != 3 || !reflect.DeepEqual(h.asked[2], want) || len(s.jobs.known) != 0 || len(x.deleted) != 1 {
			t.Errorf("known %v: asked %+v, %d jobs are left, streams %v are deleted", known, h.asked, len(s.jobs.known), x.deleted)
		}
	}
}

// Two target sites have a job of one name, with this site as the source of both.
// The first has the group. The other is refused with the reason, cannot delete
// the group, and gets it when the first is deleted.
func TestAGroupBelongsToOneTargetsJob(t *testing.T) {
	s, x := newService(t, nil)
	ctx := runService(t, s)
	job := func(target cdp.Site) *spec.ReplicationJob {
		path := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		j := &spec.ReplicationJob{Source: spec.Source{Site: "prod", Capture: cdp.Inline, Disks: []spec.SourceDisk{{Name: "disk", Path: path}}}, Target: spec.Target{Site: target}}
		j.Name = "web"
		return j
	}
	first, second := jobKey{"dr", "web"}, jobKey{"dr2", "web"}
	s.apply(ctx, first, job("dr"))
	s.apply(ctx, second, job("dr2"))
	target := func() cdp.Site { j, _ := s.jobs.get("web"); return j.Target.Site }
	refused := func(k jobKey) error {
		s.jobs.mu.Lock()
		defer s.jobs.mu.Unlock()
		return s.jobs.refused[k]
	}
	reply := s.answerStatus(api.GroupRequest{Target: "dr2"})
	if len(reply.Groups) != 0 || len(reply.Refused) != 1 || reply.Refused[0].Group != "web" {
		t.Errorf("dr2 gets %+v", reply)
	}
	if reply = s.answerStatus(api.GroupRequest{Group: "web", Target: "dr"}); len(reply.Groups) != 1 || len(reply.Refused) != 0 {
		t.Errorf("dr gets %+v", reply)
	}
	if err := refused(second); target() != "dr" || !cdp.Is(err, cdp.Conflict) || refused(first) != nil {
		t.Fatalf("the group is of a job at %s; the second one: %v, the first: %v", target(), err, refused(first))
	}
	s.apply(ctx, second, nil)
	if _, err := s.groups.Group("web"); err != nil || target() != "dr" || len(x.deleted) != 0 {
		t.Fatalf("another target's job was deleted, and so was the group: %v", err)
	}
	s.apply(ctx, second, job("dr2"))
	s.apply(ctx, first, nil)
	for end := time.Now().Add(time.Minute); target() != "dr2"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the second job never got the group: %v", refused(second))
		}
	}
}
