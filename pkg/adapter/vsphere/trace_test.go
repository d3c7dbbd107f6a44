package vsphere_test

import (
	"context"
	"sync"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
)

// Calls that change something are traced, with their outcome. Those that only look are
// not.
func TestCallsThatChangeSomethingAreTraced(t *testing.T) {
	cfg := simConfig(vcsim.NewSite(t, vcsim.Config{}))
	var mu sync.Mutex
	outcomes := map[string]error{}
	cfg.Trace = func(ctx context.Context, call string) (context.Context, func(error)) {
		return ctx, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			outcomes[call] = err
		}
	}
	c, err := connect(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inventory(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err, told := outcomes["Login"]; !told || err != nil || len(outcomes) != 1 {
		t.Error(outcomes)
	}
	cfg.Password = "another-one"
	_, err = connect(t, cfg)
	wantError(t, err, cdp.Invalid)
	if outcomes["Login"] == nil {
		t.Error("the refusal is not told")
	}
}
