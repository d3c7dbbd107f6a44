package guest

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// tool is a program the rig runs, and the Debian package it comes from.
type tool struct{ program, pkg string }

var (
	buildTools = []tool{
		{"mmdebstrap", "mmdebstrap"},
		{"mkfs.ext4", "e2fsprogs"},
		{"dpkg-deb", "dpkg"},
		{"depmod", "kmod"},
	}
	runTools = []tool{
		{"qemu-system-x86_64", "qemu-system-x86"},
		{"qemu-img", "qemu-utils"},
	}
	busybox = tool{"/bin/busybox", "busybox-static"}
)

// MissingTools says which programs are not installed, and the packages that
// have them.
type MissingTools struct {
	Programs []string
	Packages []string
}

// Error is one line that ends in the command to run.
func (e *MissingTools) Error() string {
	return fmt.Sprintf("guest: missing %s: apt-get install -y --no-install-recommends %s",
		strings.Join(e.Programs, ", "), strings.Join(e.Packages, " "))
}

// CheckTools reports every program that building and running guests needs and
// that is not installed, at once, as a *MissingTools.
func CheckTools() error {
	missing := &MissingTools{}
	add := func(t tool) {
		missing.Programs = append(missing.Programs, t.program)
		if !slices.Contains(missing.Packages, t.pkg) {
			missing.Packages = append(missing.Packages, t.pkg)
		}
	}
	for _, t := range append(slices.Clone(buildTools), runTools...) {
		if _, err := lookPath(t.program); err != nil {
			add(t)
		}
	}
	if _, err := os.Stat(busybox.program); err != nil {
		add(busybox)
	}
	if len(missing.Programs) > 0 {
		return missing
	}
	return nil
}

// lookPath finds program also where root's tools are, which is not always on
// the PATH of whoever runs the tests.
func lookPath(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("guest: %s is not installed", program)
}
