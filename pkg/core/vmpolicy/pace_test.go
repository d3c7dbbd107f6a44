package vmpolicy

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// What a slow vCenter can keep is said before a job is applied, with the RPO that it can
// keep, and nothing is said of a job that it can.
func TestAnRPOThatTheVCenterCannotKeepIsForetold(t *testing.T) {
	const one = 250 // slots of a transporter with four controllers
	others := func(vms int, rpo time.Duration) []Load { return []Load{{vms, 2 * vms, PassEvery(rpo)}} }
	for name, c := range map[string]struct {
		vms    int
		rpo    time.Duration
		call   time.Duration
		slots  int
		others []Load
		want   string // "": nothing
	}{
		"200 VMs at 15 min, 2 s":             {200, 15 * time.Minute, 2 * time.Second, one, nil, ""},
		"200 VMs at 5 min, 200 ms":           {200, 5 * time.Minute, 200 * time.Millisecond, one, nil, ""},
		"200 VMs at 5 min, 2 s":              {200, 5 * time.Minute, 2 * time.Second, one, nil, "the source's vCenter takes 2s for a call, too long for an RPO of 5m for 200 VMs by cbt: raise the RPO to 11m,"},
		"one VM at 1 min, 2 s":               {1, time.Minute, 2 * time.Second, one, nil, "too long for an RPO of 1m for one VM by cbt: raise the RPO to 2m,"},
		"one VM at 1 min, 40 ms":             {1, time.Minute, 40 * time.Millisecond, one, nil, ""},
		"few slots":                          {200, 15 * time.Minute, 2 * time.Second, 30, nil, "raise the RPO to 23m"},
		"others need it":                     {100, 10 * time.Minute, 2 * time.Second, one, others(150, 10*time.Minute), "for 100 VMs, besides 150 of other jobs, by cbt: raise the RPO to"},
		"others alone are too many":          {1, time.Hour, 2 * time.Second, one, others(300, 5*time.Minute), "the passes of other jobs alone are more than it can do"},
		"nothing was measured":               {200, time.Minute, 0, 0, nil, ""},
		"the slots are not known":            {200, 15 * time.Minute, 2 * time.Second, 0, nil, ""},
		"a job that selects no VM (as yet)":  {0, time.Minute, 2 * time.Second, one, nil, ""},
		"measured a little slower than 1.9s": {200, 5 * time.Minute, 1921 * time.Millisecond, one, nil, "takes 2s for a call"},
	} {
		s := Situation{RPO: c.rpo, CallTime: c.call, Others: c.others}
		if c.slots > 0 {
			s.SourceSlots = &inventory.Slots{Free: c.slots}
		}
		s.Job.Source.Capture = cdp.CBT
		for range c.vms {
			s.Members = append(s.Members, inventory.VM{Hardware: inventory.Hardware{Disks: make([]inventory.Disk, 2)}})
		}
		got := checkPace(s)
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: %s", name, got[0].Text)
		case c.want != "" && (len(got) != 1 || !got[0].Warning || !strings.Contains(got[0].Text, c.want)):
			t.Errorf("%s: %+v, expected %q", name, got, c.want)
		}
		if s.Job.Source.Capture = cdp.Tap; len(checkPace(s)) > 0 {
			t.Errorf("%s: a tap makes no passes", name)
		}
	}
}
