package guest

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// applets are the busybox programs initramfs.sh calls by name.
var applets = []string{"sh", "mount", "insmod", "sleep", "cp", "dmesg", "tail", "poweroff", "switch_root"}

// buildInitrd writes the initramfs, uncompressed: the kernel unpacks it faster
// than it inflates it under emulation.
func buildInitrd(disks, out string) error {
	bb, err := os.ReadFile(busybox.program)
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := bufio.NewWriter(f)
	c := &Archive{W: buf}
	for _, d := range []string{"bin", "dev", "proc", "sys", "root", "lib", "lib/modules"} {
		c.Dir(d)
	}
	c.File("bin/busybox", 0o755, bb)
	for _, a := range applets {
		c.Link("bin/"+a, "busybox")
	}
	c.File("init", 0o755, []byte(asset("initramfs.sh")))
	c.File("pid1.sh", 0o755, []byte(asset("pid1.sh")))

	modules := filepath.Join(disks, "modules")
	order, err := os.ReadFile(filepath.Join(modules, "order"))
	if err != nil {
		return err
	}
	c.File("lib/modules/order", 0o644, order)
	for _, name := range strings.Fields(string(order)) {
		ko, err := os.ReadFile(filepath.Join(modules, name))
		if err != nil {
			return err
		}
		c.File("lib/modules/"+name, 0o644, ko)
	}
	if err := c.Close(); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	return f.Close()
}
