package appliance

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// links is where the services look for disks, by UUID.
const links = "/dev/disk/by-id"

// lookEvery is the interval at which disks are looked for. Whoever attached one waits.
const lookEvery = 100 * time.Millisecond

// linkDisks keeps the names of disks up to date until ctx ends: for a disk whose
// identity is naa.6000c29..., wwn-0x6000c29....
func linkDisks(ctx context.Context) {
	for ctx.Err() == nil {
		syncLinks(diskIdentities("/sys/block"), links, "/dev")
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}

// diskIdentities are the link names of the SCSI disks below dir, by kernel name.
func diskIdentities(dir string) map[string]string {
	found, _ := filepath.Glob(filepath.Join(dir, "sd*"))
	out := map[string]string{}
	for _, d := range found {
		if id, ok := strings.CutPrefix(sysfs(d, "device", "wwid"), "naa."); ok && !strings.ContainsAny(id, "/ ") {
			out[filepath.Base(d)] = "wwn-0x" + strings.ToLower(id)
		}
	}
	return out
}

// syncLinks makes dir hold one link for each disk, and no other.
func syncLinks(disks map[string]string, dir, dev string) {
	want := map[string]string{}
	for disk, name := range disks {
		want[name] = filepath.Join(dev, disk)
	}
	have, _ := os.ReadDir(dir)
	for _, e := range have {
		path := filepath.Join(dir, e.Name())
		to, _ := os.Readlink(path)
		if want[e.Name()] == to && to != "" {
			delete(want, e.Name())
			continue
		}
		_ = os.Remove(path) // the next round tries again
	}
	for name, to := range want {
		_ = os.Symlink(to, filepath.Join(dir, name)) // the next round tries again
	}
}
