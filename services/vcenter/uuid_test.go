package vcenter_test

import (
	"testing"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// Software that is licensed by the UUID that it reads in the BIOS runs in the replica and
// in a test, if the job asks for that.
func TestAReplicaKeepsTheBIOSUUIDIfAskedTo(t *testing.T) {
	for name, keep := range map[string]bool{"kept": true, "its own": false} {
		t.Run(name, func(t *testing.T) { keepsUUID(t, keep) })
	}
}

func keepsUUID(t *testing.T, keep bool) {
	w := failover(t, func(j *spec.VMJob) { j.Job.Target.KeepUUID = keep })
	src, _ := w.vm(w.a, "web01")
	b := w.step(api.VMBuild, true)
	for _, name := range []string{"web01-replica", "web01-replica-test-00test42"} {
		v, there := w.vm(w.b, name)
		if !there || src.BIOSUUID == "" || (v.BIOSUUID == src.BIOSUUID) != keep {
			t.Errorf("keepUUID %v: %s has %q, the source %q; %v", keep, name, v.BIOSUUID, src.BIOSUUID, b.Paths)
		}
	}
	w.step(api.VMRemove, true)
}
