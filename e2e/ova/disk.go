package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/pkg/adapter/appliance"
)

// drivers are the modules of the appliance: VMware's devices, QEMU's settings, and the
// power button. There is none that would look at the disks of replicas.
var drivers = []string{"vmw_pvscsi", "sd_mod", "vmxnet3", "virtio_pci", "virtio_net", "virtio_scsi", "qemu_fw_cfg", "button", "evdev"}

// efiLoader boots the appliance where a VM's firmware is EFI: systemd's, for it starts the
// kernel from the file system that it lies on itself.
const efiLoader = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"

// The system disk: a boot record, and a FAT partition with the boot loaders, for BIOS and for
// EFI, the kernel and the initial RAM disk.
const (
	partition      = 1 << 20 // offset
	partitionBytes = 95 << 20
	diskBytes      = 96 << 20
)

// seedBytes is the size of the file system that grows to that of the data disk.
const seedBytes = 1 << 30

// sh runs a step of the build in its directory.
func (r recipe) sh(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = r.work
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "MTOOLS_SKIP_CHECK=1", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// seed writes the file system of a blank data disk: see appliance.WriteSeed.
func (r recipe) seed(ctx context.Context) ([]byte, error) {
	image := filepath.Join(r.work, "data.raw")
	err := r.sh(ctx, "mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-i", "65536", "-L", appliance.DataLabel, "-J", "size=64",
		"-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", image, strconv.Itoa(seedBytes>>10)+"k")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b strings.Builder
	if err := appliance.WriteSeed(&b, f, seedBytes); err != nil {
		return nil, err
	}
	return []byte(b.String()), os.Remove(image)
}

// initrd writes the initial RAM disk.
func (r recipe) initrd(ctx context.Context, kernel string) error {
	seed, err := r.seed(ctx)
	if err != nil {
		return err
	}
	bin, err := os.ReadFile(r.bin)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(r.work, "initrd"))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(8<<20))
	if err != nil {
		return err
	}
	buf := bufio.NewWriterSize(z, 1<<20)
	a := &guest.Archive{W: buf}
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "etc", "lib", "lib/modules", "var", "var/lib"} {
		a.Dir(d)
	}
	a.File("tidemark", 0o755, bin)
	a.File("lib/data.seed", 0o644, seed)
	order, err := os.ReadFile(filepath.Join(kernel, "modules", "order"))
	if err != nil {
		return err
	}
	a.File("lib/modules/order", 0o644, order)
	for _, name := range strings.Fields(string(order)) {
		ko, err := os.ReadFile(filepath.Join(kernel, "modules", name))
		if err != nil {
			return err
		}
		a.File("lib/modules/"+name, 0o644, ko)
	}
	for _, end := range []func() error{a.Close, buf.Flush, z.Close, f.Close} {
		if err := end(); err != nil {
			return err
		}
	}
	return nil
}

// system writes system.raw, the disk that the appliance is booted from.
func (r recipe) system(ctx context.Context) error {
	kernel, err := guest.Kernel(ctx, drivers)
	if err != nil {
		return err
	}
	if err := r.initrd(ctx, kernel); err != nil {
		return err
	}
	part := filepath.Join(r.work, "boot.fat")
	if err := os.WriteFile(part, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(part, partitionBytes); err != nil {
		return err
	}
	for _, step := range [][]string{
		{"mkfs.vfat", "-F", "32", "-n", "TIDEMARK", "-i", "71DE71DE", "-h", strconv.Itoa(partition / 512), "boot.fat"},
		{"mcopy", "-i", "boot.fat", filepath.Join(kernel, "vmlinuz"), "::/vmlinuz"},
		{"mcopy", "-i", "boot.fat", "initrd", "::/initrd"},
		{"mcopy", "-i", "boot.fat", filepath.Join(r.parts, "syslinux.cfg"), "::/syslinux.cfg"},
		{"syslinux", "--install", "boot.fat"},
		{"mmd", "-i", "boot.fat", "::/EFI", "::/EFI/BOOT", "::/loader", "::/loader/entries"},
		{"mcopy", "-i", "boot.fat", efiLoader, "::/EFI/BOOT/BOOTX64.EFI"},
		{"mcopy", "-i", "boot.fat", filepath.Join(r.parts, "loader.conf"), "::/loader/loader.conf"},
		{"mcopy", "-i", "boot.fat", filepath.Join(r.parts, "tidemark.conf"), "::/loader/entries/tidemark.conf"},
	} {
		if err := r.sh(ctx, step[0], step[1:]...); err != nil {
			return err
		}
	}
	disk := filepath.Join(r.work, "system.raw")
	record, err := bootRecord()
	if err != nil {
		return err
	}
	if err := os.WriteFile(disk, record, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(disk, diskBytes); err != nil {
		return err
	}
	return r.sh(ctx, "dd", "if=boot.fat", "of=system.raw", "bs=1M", "seek="+strconv.Itoa(partition>>20), "conv=notrunc,sparse", "status=none")
}

// bootRecord is the first sector: syslinux's loader, the appliance's mark, and one active
// partition.
func bootRecord() ([]byte, error) {
	code, err := os.ReadFile("/usr/lib/syslinux/mbr/mbr.bin")
	if err != nil {
		return nil, err
	}
	b := make([]byte, 512)
	copy(b[:440], code)
	copy(b[440:], appliance.BootMark)
	const start, sectors = partition / 512, partitionBytes / 512
	copy(b[446:], []byte{0x80, 0xfe, 0xff, 0xff, 0x0c, 0xfe, 0xff, 0xff,
		start & 0xff, start >> 8 & 0xff, start >> 16 & 0xff, 0, sectors & 0xff, sectors >> 8 & 0xff, sectors >> 16 & 0xff, 0})
	b[510], b[511] = 0x55, 0xaa
	return b, nil
}
