package guest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tidemark.dev/pkg/adapter/qmp"
)

// Mode is what the guest does; see assets/pid1.sh.
type Mode string

const (
	ModeRun    Mode = "run"    // commit ledger rows until killed
	ModeCheck  Mode = "check"  // report what the ledger holds, power off
	ModeResume Mode = "resume" // report what the ledger holds, then go on as ModeRun
	ModeIdle   Mode = "idle"   // mount the disks and wait
)

// Config says what to boot. Drives and Dir are required.
type Config struct {
	Images *Images // nil: Prepare
	Drives []Drive // exactly two: root disk, data disk
	Mode   Mode    // empty: ModeRun
	// Rows ends ModeRun with a clean shutdown after so many rows; 0 is never.
	Rows int
	// Dir gets serial.log and qemu.log, overlays, and the QMP socket. It must exist.
	Dir string
	// QMPSocket is the socket's path, at most 107 bytes; empty is a temporary one.
	QMPSocket string
	MemMiB    int      // 0: 384
	CPUs      int      // 0: 2
	Args      []string // further arguments to QEMU
}

func (c Config) withDefaults(ctx context.Context) (Config, error) {
	if c.Images == nil {
		im, err := Prepare(ctx)
		if err != nil {
			return c, err
		}
		c.Images = im
	}
	if len(c.Drives) != 2 {
		return c, fmt.Errorf("guest: %d drives: the guest has a root disk and a data disk", len(c.Drives))
	}
	for _, d := range c.Drives {
		if !d.Overlay && (d.Raw == c.Images.Root || d.Raw == c.Images.Data) && d.Raw != "" {
			return c, fmt.Errorf("guest: %s is shared by all guests: Clone it, or set Overlay", d.Raw)
		}
	}
	if c.Mode == "" {
		c.Mode = ModeRun
	}
	if c.MemMiB == 0 {
		c.MemMiB = 384
	}
	if c.CPUs == 0 {
		c.CPUs = 2
	}
	return c, nil
}

// Boot starts a guest and returns when QEMU runs, not when the guest is up: wait
// for "PG-UP" on the serial console. The VM ends by itself, by Kill9, or when ctx
// ends; the caller must Wait for it or Kill9 it.
func Boot(ctx context.Context, cfg Config) (*VM, error) {
	cfg, err := cfg.withDefaults(ctx)
	if err != nil {
		return nil, err
	}
	vm := &VM{dir: cfg.Dir, serial: newSerial(), tempSocket: cfg.QMPSocket == ""}
	if vm.tempSocket {
		// Test directories are often too long for a socket address.
		tmp, err := os.MkdirTemp("", "tmvm")
		if err != nil {
			return nil, fmt.Errorf("guest: %w", err)
		}
		cfg.QMPSocket = filepath.Join(tmp, "qmp")
	}
	vm.socket = cfg.QMPSocket
	args, err := cfg.qemuArgs(ctx)
	if err != nil {
		vm.cleanup()
		return nil, err
	}
	if err := vm.start(ctx, args); err != nil {
		vm.cleanup()
		return nil, err
	}
	if vm.qmp, err = vm.dialQMP(ctx); err != nil {
		vm.Kill9()
		return nil, err
	}
	return vm, nil
}

// qemuArgs also prepares the drives' files.
func (c Config) qemuArgs(ctx context.Context) ([]string, error) {
	line := fmt.Sprintf("console=ttyS0 panic=-1 quiet loglevel=1 work=%s", c.Mode)
	if c.Rows > 0 {
		line += fmt.Sprintf(" work.max=%d", c.Rows)
	}
	args := []string{
		"-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-machine", "q35",
		"-m", strconv.Itoa(c.MemMiB), "-smp", strconv.Itoa(c.CPUs),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "stdio",
		"-chardev", "socket,id=qmp,server=on,wait=off,path=" + c.QMPSocket, "-mon", "chardev=qmp,mode=control",
		"-kernel", c.Images.Kernel, "-initrd", c.Images.Initrd, "-append", line,
	}
	for i, d := range c.Drives {
		node := d.Node
		if node == "" {
			node = fmt.Sprintf("disk%d", i)
		}
		devs, err := d.blockdevs(ctx, c.Dir, node)
		if err != nil {
			return nil, err
		}
		for _, dev := range devs {
			b, err := json.Marshal(dev)
			if err != nil {
				return nil, fmt.Errorf("guest: drive %s: %w", node, err)
			}
			args = append(args, "-blockdev", string(b))
		}
		args = append(args, "-device", "virtio-blk-pci,drive="+node)
	}
	return append(args, c.Args...), nil
}

// dialQMP waits for QEMU to listen, unless it ends first.
func (vm *VM) dialQMP(ctx context.Context) (*qmp.Client, error) {
	for {
		c, err := qmp.Dial(ctx, vm.socket)
		if err == nil {
			return c, nil
		}
		select {
		case <-vm.done:
			return nil, fmt.Errorf("guest: QEMU ended at once: %w: %s", vm.exit, vm.complaints())
		case <-ctx.Done():
			return nil, fmt.Errorf("guest: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
