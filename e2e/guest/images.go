package guest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed assets
var assets embed.FS

// Images are the files a guest boots from. They are shared and read-only: Clone
// the disks before a guest writes to them.
type Images struct {
	Kernel string // bzImage
	Initrd string // drivers, busybox and the guest's PID 1
	Root   string // raw ext4 image of RootBytes, sparse
	Data   string // raw ext4 image of DataBytes, sparse
}

// Virtual sizes of the two disks, in bytes. About a fifth of the root disk is
// in use.
const (
	RootBytes = 1 << 30
	DataBytes = 256 << 20
)

// Prepare returns the guest's images and builds what the cache does not have:
// about a minute for the disks (downloads included), a second for the
// initramfs. Only a build needs root and the network.
//
// Errors are *MissingTools with the packages to install, or the failed step with
// the end of its output.
func Prepare(ctx context.Context) (*Images, error) {
	if err := CheckTools(); err != nil {
		return nil, err
	}
	base, err := cached(ctx, "disks-"+hashOf(diskRecipe()...), func(dir string) error { return buildDisks(ctx, dir) })
	if err != nil {
		return nil, err
	}
	boot, err := cached(ctx, "initrd-"+hashOf(filepath.Base(base), asset("initramfs.sh"), asset("pid1.sh")),
		func(dir string) error { return buildInitrd(base, filepath.Join(dir, "initrd")) })
	if err != nil {
		return nil, err
	}
	return &Images{
		Kernel: filepath.Join(base, "vmlinuz"),
		Initrd: filepath.Join(boot, "initrd"),
		Root:   filepath.Join(base, "root.raw"),
		Data:   filepath.Join(base, "data.raw"),
	}, nil
}

// Clone copies the two disks into dir, which must exist, as root.raw and
// data.raw, sparse where the originals are.
func (im *Images) Clone(ctx context.Context, dir string) (root, data string, err error) {
	root, data = filepath.Join(dir, "root.raw"), filepath.Join(dir, "data.raw")
	for _, c := range [][2]string{{im.Root, root}, {im.Data, data}} {
		if err := CopySparse(ctx, c[0], c[1]); err != nil {
			return "", "", err
		}
	}
	return root, data, nil
}

// MakePlain makes a root disk that nobody uses that of a machine without a database: see
// assets/pid1.sh.
func MakePlain(ctx context.Context, root string) error {
	return run(ctx, nil, "debugfs", "-w", "-R", "write /dev/null /var/lib/tidemark/plain", root)
}

// CopySparse copies a disk image and leaves its holes holes.
func CopySparse(ctx context.Context, from, to string) error {
	out, err := exec.CommandContext(ctx, "cp", "--reflink=auto", "--sparse=always", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("guest: copy %s to %s: %w: %s", from, to, err, out)
	}
	return nil
}

func asset(name string) string {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic("guest: asset " + name + " is not embedded") // a typo in this package
	}
	return string(b)
}

func writeAssets(dir string, names ...string) error {
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(asset(name)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hashOf names a build by its inputs: twelve hex digits are plenty for a cache.
func hashOf(inputs ...string) string {
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%d:%s", len(in), in)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}
