package node

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/capture"
)

// A job on a VM is deleted, also while capture is down: the vcenter service is
// asked to remove what its passes left, until it has, and only then the job is
// forgotten.
func TestADeletedJobsPassesAreRemoved(t *testing.T) {
	for _, known := range []bool{true, false} {
		s := bustest.Start(t, bustest.Secured)
		ctx, cancel := context.WithCancel(t.Context())
		dir := t.TempDir()
		w := &captureWiring{e: &env{clock: clock.System, site: "prod", log: slog.New(slog.DiscardHandler)}, conn: s.Connect("prod", subjects.Capture), ctx: ctx, taps: &tapPorts{}, retry: time.Millisecond,
			retries: map[string]retry{}, targets: map[string]cdp.Site{}, jobs: map[cdp.GroupID]spec.ReplicationJob{}}
		var mu sync.Mutex
		var asked []api.ThawRequest
		go s.Connect("prod", subjects.VCenter).Serve(ctx, subjects.VCenter, map[string]api.Endpoint{
			api.VMThaw: api.Answer(func(_ context.Context, r api.ThawRequest) (any, error) {
				mu.Lock()
				defer mu.Unlock()
				if asked = append(asked, r); len(asked) < 3 {
					return api.Progress{}, cdp.Errorf(cdp.Transient, "thaw", r.VM, "the vCenter is down")
				}
				return api.Progress{Done: true}, nil
			})})
		if known {
			w.jobs["shop-web01"] = spec.ReplicationJob{Source: spec.Source{VM: "5000", Capture: cdp.CBT}}
		}
		chain := filepath.Join(dir, "shop-web01.passes")
		if err := os.WriteFile(chain, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		w.svc, err = capture.New(capture.Config{StateDir: dir, WindowDir: dir}, capture.Deps{Stream: w.stream, Epochs: w, Journal: w, Snapshots: vmSnapshots{w}})
		if err != nil {
			t.Fatal(err)
		}
		w.apply(ctx, "dr", "shop-web01", nil)
		for {
			if _, err := os.Stat(chain); err != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		w.draining.Wait()
		mu.Lock()
		want := api.ThawRequest{Group: "shop-web01"}
		if known {
			want.VM = "5000"
		}
		if len(asked) != 3 || asked[2] != want || len(w.jobs) != 0 {
			t.Errorf("known %v: asked %+v, and %d jobs are left", known, asked, len(w.jobs))
		}
		mu.Unlock()
	}
}
