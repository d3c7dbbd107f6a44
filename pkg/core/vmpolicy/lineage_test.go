package vmpolicy_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// chain is a frozen disk whose newest file comes first.
func chain(id string, files ...string) inventory.Disk {
	return inventory.Disk{Key: 2000, ChangeID: id, Size: 8 << 30, File: files[0], Below: files[1:], Mode: "persistent"}
}

func TestChangesAreKnownOnlyIfADiskDescendsFromTheLastPass(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 12, 0, 0, time.UTC)
	user := inventory.Snapshot{Ref: "Snapshot:1", Name: "before the update", Disks: []inventory.Disk{chain("line/3", "base")}}
	with, without := []inventory.Snapshot{user}, []inventory.Snapshot(nil)
	extended := chain("line/9", "base")
	extended.Size++
	for _, c := range []struct {
		name   string
		was    inventory.Disk
		others []inventory.Snapshot
		is     inventory.Disk
		now    []inventory.Snapshot
		after  time.Duration
		why    string
	}{
		{"no snapshot", chain("line/7", "base"), without, chain("line/8", "base"), without, time.Minute, ""},
		{"storage vMotion", chain("line/7", "base"), without, chain("line/8", "moved"), without, time.Minute, ""},
		{"a snapshot taken since", chain("line/7", "base"), without, chain("line/9", "one", "base"), with, time.Minute, ""},
		{"a snapshot kept", chain("line/7", "one", "base"), with, chain("line/8", "one", "base"), with, time.Minute, ""},
		{"a backup ended", chain("line/7", "one", "base"), with, chain("line/8", "base"), without, time.Minute, ""},
		{"a backup ended long ago", chain("line/7", "one", "base"), with, chain("line/8", "base"), without, time.Hour, "is gone"},
		{"a backup's snapshot was reverted to", chain("line/7", "one", "base"), with, chain("line/7", "base"), without, time.Minute, "is gone"},
		{"reverted", chain("line/7", "one", "base"), with, chain("line/4", "two", "base"), with, time.Minute, "fell from line/7 to line/4"},
		{"reverted, and the number passed", chain("line/7", "one", "base"), with, chain("line/9", "two", "base"), with, time.Minute, "is gone"},
		{"reset", chain("line/7", "base"), without, chain("other/1", "base"), without, time.Minute, ""}, // the vCenter refuses it
		{"extended", chain("line/7", "base"), without, extended, without, time.Minute, "bytes"},
	} {
		l := vmpolicy.ParseLineage(vmpolicy.LineageOf(c.was, c.others, at).String())
		if got := l.Since(c.is, c.now, at.Add(c.after)); c.why == "" && got != "" || !strings.Contains(got, c.why) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if l := vmpolicy.ParseLineage("52 aa/7"); l.ChangeID != "52 aa/7" || l.Since(chain("52 aa/8", "x"), with, at) != "" {
		t.Errorf("a bare change id: %+v", l)
	}
}

func TestASnapshotFromBeforeTrackingIsFound(t *testing.T) {
	old := inventory.Snapshot{Name: "old", Disks: []inventory.Disk{chain("", "base")}}
	if vmpolicy.Untracked(2000, []inventory.Snapshot{old}) != "old" || vmpolicy.Untracked(2001, []inventory.Snapshot{old}) != "" {
		t.Error("not found")
	}
	old.Disks[0].ChangeID = "line/1"
	if vmpolicy.Untracked(2000, []inventory.Snapshot{old}) != "" {
		t.Error("its changes were tracked")
	}
}
