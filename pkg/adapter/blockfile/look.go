package blockfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// Identify says what is at a path without symbolic links, and by which identity all its
// other names are known. It reads nothing, and follows no link: what one that was put
// there meanwhile leads to is a Problem.
func Identify(path string) api.DiskFacts {
	return IdentifyBy(path, func(path string, flag int) (*os.File, error) { return localpath.Open(path, flag, 0) })
}

// Opener opens a path without following links.
type Opener func(path string, flag int) (*os.File, error)

// IdentifyBy is Identify for one of many paths, which open opens.
func IdentifyBy(path string, open Opener) api.DiskFacts {
	f := api.DiskFacts{Path: path}
	st, err := open.stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Kind, f.ID = api.PathMissing, identityOfNothing(path, open)
		return f
	case err != nil:
		f.Kind, f.Problem = api.PathOther, cause(err).Error()
		return f
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		f.Kind, f.ID = api.PathDevice, deviceID(st.Rdev)
		f.On = below(st.Rdev, 0)
		return f
	case unix.S_IFREG:
		f.Kind = api.PathFile
	case unix.S_IFDIR:
		f.Kind = api.PathFolder
	case unix.S_IFSOCK:
		f.Kind = api.PathSocket
	default:
		f.Kind = api.PathOther
	}
	f.ID = fileID(st)
	return f
}

// stat is lstat that follows no link in the directories either.
func (open Opener) stat(path string) (st unix.Stat_t, err error) {
	at, err := open(filepath.Clean(path), unix.O_PATH)
	if err != nil {
		return st, err
	}
	defer at.Close()
	return st, unix.Fstat(int(at.Fd()), &st)
}

// cause is what the system said, without the path.
func cause(err error) error {
	var e *cdp.Error
	if errors.As(err, &e) && e.Cause != nil {
		return e.Cause
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Look is Identify with what only opening the file or device shows.
func Look(path string) api.DiskFacts {
	f := Identify(path)
	if f.Kind != api.PathFile && f.Kind != api.PathDevice {
		return f
	}
	d, err := Open(path, true)
	if err != nil {
		f.Problem = cause(err).Error()
		return f
	}
	defer d.Close()
	f.Size = d.Size()
	f.Holds, err = d.holdsData()
	if err != nil {
		f.Problem = err.Error()
	}
	return f
}

// holdsData reports whether a file has anything but holes, or the beginning of a
// device anything but zeros.
func (d *File) holdsData() (bool, error) {
	if !d.dev {
		for off := int64(0); off < d.size; {
			for _, e := range d.Status(off, d.size-off) {
				if !e.Zero {
					return true, nil
				}
				off += e.Length
			}
		}
		return false, nil
	}
	head := make([]byte, min(d.size, cdp.RegionSize))
	if err := d.ReadAt(head, 0); err != nil {
		return false, err
	}
	for _, b := range head {
		if b != 0 {
			return true, nil
		}
	}
	return false, nil
}

// identityOfNothing identifies a path where nothing is by the nearest folder that
// exists, so that a file which two paths would make has one identity.
func identityOfNothing(path string, open Opener) string {
	path = filepath.Clean(path)
	for dir, rest := filepath.Dir(path), filepath.Base(path); ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		if st, err := open.stat(dir); err == nil {
			return identity("nothing in", fileID(st), rest)
		}
		if dir == "/" || dir == "." {
			return identity("nothing at", path)
		}
	}
}

func fileID(st unix.Stat_t) string { return identity("file", st.Dev, st.Ino) }

func deviceID(rdev uint64) string { return identity("device", unix.Major(rdev), unix.Minor(rdev)) }

// bootID tells machines apart.
var bootID = sync.OnceValue(func() []byte {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return slices.Clip(boot) // appending copies it
})

// identity hashes what identifies something on this machine.
func identity(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendln(bootID(), parts...))
	return hex.EncodeToString(sum[:16])
}

// below are the identities of the devices and files that a device is a part of or
// lies on: of a partition the disk, of a volume its members, of a loop device its
// file.
func below(rdev uint64, depth int) (ids []string) {
	if depth > 8 { // no stack is that high
		return nil
	}
	dir, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(rdev), unix.Minor(rdev)))
	if err != nil {
		return nil
	}
	var numbers []string
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		numbers = append(numbers, filepath.Join(filepath.Dir(dir), "dev"))
	}
	members, _ := filepath.Glob(filepath.Join(dir, "slaves", "*", "dev"))
	for _, name := range append(numbers, members...) {
		var major, minor uint32
		text, err := os.ReadFile(name)
		if n, _ := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err == nil && n == 2 {
			dev := unix.Mkdev(major, minor)
			ids = append(append(ids, deviceID(dev)), below(dev, depth+1)...)
		}
	}
	if file, err := os.ReadFile(filepath.Join(dir, "loop", "backing_file")); err == nil {
		f := Identify(strings.TrimSuffix(string(file), "\n"))
		ids = append(append(ids, f.ID), f.On...)
	}
	return ids
}
