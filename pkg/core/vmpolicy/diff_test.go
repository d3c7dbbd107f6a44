package vmpolicy_test

import (
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

func TestDiff(t *testing.T) {
	was := web("web01").Hardware
	var only []inventory.MemberDisk
	for _, d := range was.Disks {
		only = append(only, inventory.MemberDisk{Disk: d, Address: was.Address(d)})
	}
	for kind, c := range map[string]struct {
		change func(*inventory.Hardware)
		follow bool
	}{
		"":              {func(*inventory.Hardware) {}, true},
		"cpu":           {func(h *inventory.Hardware) { h.CPUs = 8 }, true},
		"memory":        {func(h *inventory.Hardware) { h.MemoryMB *= 2 }, true},
		"options":       {func(h *inventory.Hardware) { h.CPUHotAdd = true }, true},
		"nic":           {func(h *inventory.Hardware) { h.NICs[0].NetName = "other" }, true},
		"extra":         {func(h *inventory.Hardware) { h.Extra = map[string]string{"vhv.enable": "TRUE"} }, true},
		"firmware":      {func(h *inventory.Hardware) { h.SecureBoot = true }, false},
		"disk-removed":  {func(h *inventory.Hardware) { h.Disks = h.Disks[:1] }, false},
		"disk-resized":  {func(h *inventory.Hardware) { h.Disks[1].Size /= 2 }, false},
		"disk-replaced": {func(h *inventory.Hardware) { h.Disks[1].UUID = "z" }, false},
		"disk-moved":    {func(h *inventory.Hardware) { h.Disks[1].Unit = 5 }, false},
	} {
		is := web("web01").Hardware
		c.change(&is)
		got := vmpolicy.Diff(was, is, only)
		if kind == "" && len(got) > 0 || kind != "" && (len(got) != 1 || got[0].Kind != kind || got[0].Follow != c.follow || got[0].Text == "") {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}
