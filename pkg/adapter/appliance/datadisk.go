package appliance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// BootMark is the disk signature in the boot record of the appliance's own disk: by it,
// the appliance knows which controller it was booted from.
const BootMark = "TiDe"

// bootMarkAt is the offset of the signature.
const bootMarkAt = 440

// DataLabel is the label of the data disk's file system.
const DataLabel = "tidemark-data"

// seedFile is the seed in the initial RAM disk.
const seedFile = "/lib/data.seed"

// scsiDisk is a disk and its place: the number of the controller, as Linux counts, and of
// the unit on it.
type scsiDisk struct {
	name       string // sda
	host, unit string
}

// scsiDisks are the disks below dir, which is /sys/block.
func scsiDisks(dir string) []scsiDisk {
	found, _ := filepath.Glob(filepath.Join(dir, "sd*"))
	var out []scsiDisk
	for _, d := range found {
		place, err := filepath.EvalSymlinks(filepath.Join(d, "device")) // .../2:0:1:0
		if p := strings.Split(filepath.Base(place), ":"); err == nil && len(p) == 4 {
			out = append(out, scsiDisk{filepath.Base(d), p[0], p[2]})
		}
	}
	return out
}

// dataDisk finds the data disk: unit 1 of the controller whose unit 0 is the appliance's
// own disk. Any other disk is a replica's, or a stranger's.
func dataDisk(disks []scsiDisk, booted func(disk string) bool) (string, error) {
	const op = "find the data disk"
	var hosts []string
	for _, d := range disks {
		if d.unit == "0" && booted(d.name) {
			hosts = append(hosts, d.host)
		}
	}
	switch len(hosts) {
	case 0:
		return "", cdp.Errorf(cdp.NotFound, op, "", "the disk that this machine was booted from is not at unit 0 of a SCSI controller").
			WithHint("attach it there: the appliance's own disk is SCSI 0:0, the data disk SCSI 0:1")
	case 1:
	default:
		return "", cdp.Errorf(cdp.Conflict, op, "", "there are %d disks of appliances, so it is not known which of them is its own", len(hosts)).
			WithHint("detach those of other machines")
	}
	i := slices.IndexFunc(disks, func(d scsiDisk) bool { return d.host == hosts[0] && d.unit == "1" })
	if i < 0 {
		return "", cdp.Errorf(cdp.NotFound, op, "SCSI 0:1", "there is no disk").WithHint("attach a blank disk there, for journals; the appliance looks again by itself")
	}
	return disks[i].name, nil
}

// booted reports whether the disk has the boot record of the appliance.
func booted(disk string) bool {
	f, err := os.Open(filepath.Join("/dev", disk))
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 512)
	if _, err := io.ReadFull(f, b); err != nil {
		return false
	}
	return string(b[bootMarkAt:bootMarkAt+len(BootMark)]) == BootMark
}

// ext4 is what a superblock says.
type ext4 struct {
	label     string
	blockSize int64
	blocks    uint64
}

// superblock reads that of a file system; false: there is none.
func superblock(d io.ReaderAt) (ext4, bool, error) {
	b := make([]byte, 1024)
	if _, err := d.ReadAt(b, 1024); err != nil {
		return ext4{}, false, err
	}
	le := binary.LittleEndian
	if le.Uint16(b[56:]) != 0xEF53 {
		return ext4{}, false, nil
	}
	return ext4{label: string(bytes.TrimRight(b[120:136], "\x00")), blockSize: 1024 << le.Uint32(b[24:]),
		blocks: uint64(le.Uint32(b[4:])) | uint64(le.Uint32(b[0x150:]))<<32}, true, nil
}

// mountData makes the file system if the data disk is blank, and mounts it. It returns
// the disk's name.
func mountData() (string, error) {
	const op = "mount the data disk"
	name, err := dataDisk(scsiDisks("/sys/block"), booted)
	if err != nil {
		return "", err
	}
	dev := filepath.Join("/dev", name)
	f, err := os.OpenFile(dev, os.O_RDWR, 0)
	if err != nil {
		return "", cdp.Wrap(err, op, dev)
	}
	defer f.Close()
	fs, has, err := superblock(f)
	switch {
	case err != nil:
		return "", cdp.Wrap(err, op, dev)
	case has && fs.label == DataLabel:
	default:
		if err := makeData(f); err != nil {
			return "", cdp.Wrap(err, op, dev)
		}
	}
	if err := unix.Mount(dev, data, "ext4", unix.MS_NOATIME|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, "errors=remount-ro"); err != nil && !errors.Is(err, unix.EBUSY) {
		return "", cdp.Errorf(cdp.Transient, op, dev, "%w", err)
	}
	return name, growData(name)
}

func makeData(f *os.File) error {
	s, err := os.Open(seedFile)
	if err != nil {
		return err
	}
	defer s.Close()
	seed, err := readSeed(s)
	if err != nil {
		return fmt.Errorf("read %s: %w", seedFile, err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if ok, err := blank(f, size, seed); err != nil {
		return err
	} else if !ok {
		return cdp.Errorf(cdp.Conflict, "make a file system", f.Name(), "the disk SCSI 0:1 is not blank, and has no file system of an appliance: it is not touched").
			WithHint("attach a new disk, or the data disk of another transporter that is off")
	}
	return plant(f, size, seed)
}

// resizeFS is ext4's EXT4_IOC_RESIZE_FS.
const resizeFS = 0x40086610

// growData makes the file system as large as its disk, while it is in use.
func growData(disk string) error {
	const op = "grow the data disk"
	// A disk that was extended is larger only once the kernel has asked.
	_ = os.WriteFile(filepath.Join("/sys/block", disk, "device", "rescan"), []byte("1"), 0o200)
	f, err := os.Open(filepath.Join("/dev", disk))
	if err != nil {
		return cdp.Wrap(err, op, disk)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return cdp.Wrap(err, op, disk)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(data, &st); err != nil {
		return cdp.Wrap(err, op, disk)
	}
	fs, has, err := superblock(f)
	if err != nil || !has {
		return cdp.Wrap(errors.Join(err, errors.New("its superblock cannot be read")), op, disk)
	}
	blocks := uint64(size / fs.blockSize)
	// The kernel rounds down to whole groups if the last one would be too small.
	if blocks < fs.blocks+32768 && fs.blocks > 0 {
		return nil
	}
	dir, err := os.Open(data)
	if err != nil {
		return cdp.Wrap(err, op, disk)
	}
	defer dir.Close()
	if _, _, no := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), resizeFS, uintptr(unsafe.Pointer(&blocks))); no != 0 {
		return cdp.Errorf(cdp.Transient, op, disk, "to %d MiB: %w", size>>20, no)
	}
	return nil
}
