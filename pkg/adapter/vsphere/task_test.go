package vsphere_test

import (
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/contract/inventory"
)

// slow is a site where a snapshot of a running VM takes until it is let go.
func slow(t *testing.T) (e *env, vm inventory.Ref, begun <-chan struct{}, letGo func()) {
	started, gate := make(chan struct{}, 8), make(chan struct{})
	e = target(t, vcsim.Config{OnSnapshot: func(_ vcsim.PowerEvent, freeze func() error) error {
		started <- struct{}{}
		<-gate
		return freeze()
	}})
	letGo = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(letGo)
	made, err := e.sim.AddVM(vcsim.VMSpec{Name: "a", Disks: []vcsim.DiskSpec{{Size: 1 << 20}}, On: true})
	e.must(err)
	return e, inventory.Ref(made.Ref.String()), started, letGo
}

// Waiting for a task survives a restart that loses all sessions, and an outage.
func TestTaskOutlivesARestart(t *testing.T) {
	for name, disturb := range map[string]func(*env){
		"restart": func(e *env) { e.must(e.sim.Restart(true)) },
		"expiry":  func(e *env) { e.sim.ExpireSessions() },
		"outage": func(e *env) {
			e.sim.Stop()
			time.Sleep(500 * time.Millisecond)
			e.must(e.sim.Resume())
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, vm, begun, letGo := slow(t)
			done := make(chan error, 1)
			go func() {
				_, err := e.c.Snapshot(e.ctx, vm, "s", "", false)
				done <- err
			}()
			<-begun
			// Not before the task's reference has come back: what is cut off while
			// it starts is not known to have started.
			for n := e.sim.Calls("RetrievePropertiesEx"); e.sim.Calls("RetrievePropertiesEx") <= n; {
				e.must(e.ctx.Err())
				time.Sleep(5 * time.Millisecond)
			}
			disturb(e)
			letGo()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(3 * time.Minute):
				t.Error("it hangs")
			}
			if n := e.sim.Calls("CreateSnapshot_Task") + e.sim.Calls("CreateSnapshotEx_Task"); n != 1 {
				t.Errorf("%d snapshots were begun", n)
			}
		})
	}
}
