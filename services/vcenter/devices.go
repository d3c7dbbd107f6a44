package vcenter

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
)

// DiskDevices finds block devices as Linux names them: in Dir, by default
// /dev/disk/by-id, as wwn-0x or scsi-3 and the disk's UUID in hexadecimal.
type DiskDevices struct {
	Dir string
	// Wait is how long a device may take to come or go. Default 1 min.
	Wait time.Duration
}

var _ Devices = DiskDevices{}

const (
	byID = "/dev/disk/by-id"
	// lookEvery is the pause between two looks for a device.
	lookEvery = 50 * time.Millisecond
)

func (d DiskDevices) names(uuid string) []string {
	hex := strings.ToLower(strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return r
		}
		return -1
	}, uuid))
	dir := d.Dir
	if dir == "" {
		dir = byID
	}
	return []string{filepath.Join(dir, "wwn-0x"+hex), filepath.Join(dir, "scsi-3"+hex)}
}

func (d DiskDevices) wait() time.Duration {
	if d.Wait == 0 {
		return time.Minute
	}
	return d.Wait
}

// Path implements Devices.
func (d DiskDevices) Path(ctx context.Context, uuid string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.wait())
	defer cancel()
	for n := 0; ; n++ {
		for _, p := range d.names(uuid) {
			if _, err := os.Stat(p); err == nil {
				return p, nil
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", &cdp.Error{Op: "find device", Kind: cdp.Transient, Subject: p, Cause: err}
			}
		}
		if n == 40 && strings.HasPrefix(d.names(uuid)[0], "/dev/") {
			rescan() // it may have been released, and not detached
		}
		select {
		case <-ctx.Done():
			return "", cdp.Errorf(cdp.Transient, "find device", d.names(uuid)[0], "the disk is attached, but its device did not show up").
				WithHint("has the transporter VM the advanced setting disk.EnableUUID = TRUE?")
		case <-time.After(lookEvery):
		}
	}
}

// Release implements Devices. What is no block device, as in the lab, has
// nothing that must be forgotten.
func (d DiskDevices) Release(ctx context.Context, uuid string) error {
	for _, p := range d.names(uuid) {
		real, err := filepath.EvalSymlinks(p)
		if err != nil {
			continue
		}
		if st, err := os.Stat(real); err != nil || st.Mode()&fs.ModeDevice == 0 || st.Mode()&fs.ModeCharDevice != 0 {
			continue
		}
		gone := filepath.Join("/sys/block", filepath.Base(real), "device", "delete")
		if err := os.WriteFile(gone, []byte("1"), 0o200); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &cdp.Error{Op: "release device", Kind: cdp.Transient, Subject: real, Cause: err}
		}
		if err := d.untilGone(ctx, real); err != nil {
			return err
		}
	}
	return nil
}

func (d DiskDevices) untilGone(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, d.wait())
	defer cancel()
	for {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return cdp.Errorf(cdp.Transient, "release device", path, "the system does not let go of it")
		case <-time.After(lookEvery):
		}
	}
}

// rescan makes Linux look for disks at every SCSI host.
func rescan() {
	hosts, _ := filepath.Glob("/sys/class/scsi_host/host*/scan")
	for _, h := range hosts {
		_ = os.WriteFile(h, []byte("- - -"), 0o200) // where it may not, the wait ends with its own error
	}
}
