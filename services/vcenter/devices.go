package vcenter

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// DiskDevices finds block devices by the names that Linux gives them: in Dir, by
// default /dev/disk/by-id, wwn-0x or scsi-3 and the disk's UUID in hexadecimal.
type DiskDevices struct {
	Dir string
	// Wait is how long a device may take to appear or disappear. Default 1 min.
	Wait  time.Duration
	Clock clock.Clock // default clock.System
}

var _ Devices = DiskDevices{}

const (
	byID = "/dev/disk/by-id"
	// lookEvery is the interval at which devices are looked for.
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

func (d DiskDevices) clock() clock.Clock {
	if d.Clock == nil {
		return clock.System
	}
	return d.Clock
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
			rescan() // it may have been released without being detached
		}
		if clock.Sleep(ctx, d.clock(), lookEvery) != nil {
			return "", cdp.Errorf(cdp.Transient, "find device", d.names(uuid)[0], "the disk is attached, but its device did not appear").
				WithHint("does the transporter VM have the advanced setting disk.EnableUUID = TRUE?")
		}
	}
}

// Grown implements Devices.
func (d DiskDevices) Grown(ctx context.Context, uuid string, size int64) error {
	path, err := d.Path(ctx, uuid)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.wait())
	defer cancel()
	for {
		has, err := sizeOf(path)
		if err != nil {
			return &cdp.Error{Op: "measure device", Kind: cdp.Transient, Subject: path, Cause: err}
		}
		if has >= size {
			return nil
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			// Without permission, the wait ends with its own error.
			_ = os.WriteFile(filepath.Join("/sys/block", filepath.Base(real), "device", "rescan"), []byte("1"), 0o200)
		}
		if clock.Sleep(ctx, d.clock(), lookEvery) != nil {
			return cdp.Errorf(cdp.Transient, "measure device", path, "the disk was extended to %d bytes, but its device has %d", size, has)
		}
	}
}

func sizeOf(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Seek(0, io.SeekEnd)
}

// Release implements Devices. A file that is no block device, as in the lab, needs no
// release.
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
		if clock.Sleep(ctx, d.clock(), lookEvery) != nil {
			return cdp.Errorf(cdp.Transient, "release device", path, "the operating system does not release it")
		}
	}
}

// rescan makes Linux scan every SCSI host for disks.
func rescan() {
	hosts, _ := filepath.Glob("/sys/class/scsi_host/host*/scan")
	for _, h := range hosts {
		_ = os.WriteFile(h, []byte("- - -"), 0o200) // without permission, the wait ends with its own error
	}
}
