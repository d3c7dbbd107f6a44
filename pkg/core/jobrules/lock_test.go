package jobrules

import (
	"slices"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// A retention lock is made longer by who may write jobs, and shorter by nobody.
func TestALockIsNeverMadeShorter(t *testing.T) {
	locked := func(d time.Duration) spec.Journal { return spec.Journal{Lock: spec.Duration(d)} }
	refused := []string{"/spec/journal/lock lock"}
	for name, x := range map[string]struct {
		was, becomes time.Duration
		want         []string
	}{
		"longer":  {time.Hour, 2 * time.Hour, nil},
		"first":   {0, time.Hour, nil},
		"shorter": {2 * time.Hour, time.Hour, refused},
		"none":    {2 * time.Hour, 0, refused},
	} {
		old := disksJob(func(j *spec.ReplicationJob) { j.Journal = locked(x.was) })
		vms := vmsJob(func(j *spec.VMJob) { j.Journal = locked(x.was) })
		change, ps := here.Disks(disksJob(func(j *spec.ReplicationJob) { j.Journal = locked(x.becomes) }), Stored{Job: &old})
		if change != api.Changed || !slices.Equal(rules(ps), x.want) {
			t.Errorf("%s, disks: %s, %q", name, change, rules(ps))
		}
		change, ps = here.VMs(vmsJob(func(j *spec.VMJob) { j.Journal = locked(x.becomes) }), Stored{VMJob: &vms})
		if change != api.Changed || !slices.Equal(rules(ps), x.want) {
			t.Errorf("%s, VMs: %s, %q", name, change, rules(ps))
		}
	}
	if err := Unlocked("web", time.Minute); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	if err := Unlocked("web", 0); err != nil {
		t.Error(err)
	}
}
