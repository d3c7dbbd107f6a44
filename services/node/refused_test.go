package node

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/capture"
)

// A job that cannot be captured is told with the reason to whoever asks.
func TestCaptureTellsWhyAJobIsNotCaptured(t *testing.T) {
	w := &captureWiring{e: &env{clock: clock.System, site: "prod"}, jobs: map[cdp.GroupID]spec.ReplicationJob{"web": {}, "db": {}},
		refused: map[cdp.GroupID]error{}}
	var err error
	if w.svc, err = capture.New(capture.Config{StateDir: t.TempDir()}, capture.Deps{Stream: w.stream, Epochs: w, Journal: w}); err != nil {
		t.Fatal(err)
	}
	w.refused["web"] = cdp.Errorf(cdp.Transient, "open", "window", "resource temporarily unavailable").WithHint("stop the other capture service")
	r := w.status(api.GroupRequest{})
	if len(r.Groups) != 0 || len(r.Refused) != 1 || r.Refused[0].Group != "web" || r.Refused[0].Reason != "open window: resource temporarily unavailable" || r.Refused[0].Hint == "" {
		t.Errorf("%+v", r)
	}
}
