package guest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// drivers are the modules without which the guest sees no disk.
var drivers = []string{"virtio_pci", "virtio_blk", "ext4"}

// Kernel returns a directory with Debian's kernel for clouds and the drivers: vmlinuz,
// modules/*.ko and modules/order, as unpackKernel leaves them. It is downloaded if the
// cache does not have it.
func Kernel(ctx context.Context, drivers []string) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", "linux-image-cloud-amd64").Output()
	if err != nil {
		return "", fmt.Errorf("guest: find the newest kernel: %w", err)
	}
	_, name, _ := strings.Cut(string(out), "Depends: ")
	name, _, _ = strings.Cut(name, "\n")
	return cached(ctx, "kernel-"+hashOf(append(drivers, name)...), func(dir string) error {
		debs := filepath.Join(dir, "debs")
		if err := os.Mkdir(debs, 0o755); err != nil {
			return err
		}
		if err := run(ctx, nil, "sh", "-c", `cd "$1" && apt-get download "$2"`, "sh", debs, name); err != nil {
			return err
		}
		if err := unpackKernel(ctx, debs, dir, drivers); err != nil {
			return err
		}
		return os.RemoveAll(debs)
	})
}

// unpackKernel takes the kernel and the drivers out of the one package in debs:
// dir/vmlinuz, dir/modules/*.ko, and dir/modules/order with one file name per
// line, dependencies first.
func unpackKernel(ctx context.Context, debs, dir string, drivers []string) error {
	packages, err := filepath.Glob(filepath.Join(debs, "linux-image-*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("want one kernel package in %s, have %v", debs, packages)
	}
	tree := filepath.Join(debs, "kernel")
	if err := run(ctx, nil, "dpkg-deb", "--extract", packages[0], tree); err != nil {
		return err
	}
	kernels, err := filepath.Glob(filepath.Join(tree, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return fmt.Errorf("want one kernel in %s, have %v", packages[0], kernels)
	}
	version := strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-")
	if err := os.Rename(kernels[0], filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	// The package runs depmod when it is installed; here it is only unpacked.
	if err := run(ctx, nil, "depmod", "-b", tree, version); err != nil {
		return err
	}
	libs := filepath.Join(tree, "lib", "modules", version)
	deps, err := os.ReadFile(filepath.Join(libs, "modules.dep"))
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "modules")
	if err := os.Mkdir(out, 0o755); err != nil {
		return err
	}
	order := moduleOrder(string(deps), drivers)
	names := make([]string, 0, len(order))
	for _, path := range order {
		if err := os.Rename(filepath.Join(libs, path), filepath.Join(out, filepath.Base(path))); err != nil {
			return err
		}
		names = append(names, filepath.Base(path))
	}
	return os.WriteFile(filepath.Join(out, "order"), []byte(strings.Join(names, "\n")+"\n"), 0o644)
}

// moduleOrder reads depmod's modules.dep ("a.ko: b.ko c.ko", everything a needs,
// c before b) and returns the files to load for wanted, each once. A module
// without a line is built into the kernel.
func moduleOrder(deps string, wanted []string) []string {
	needs := map[string][]string{} // by module name
	for line := range strings.Lines(deps) {
		file, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		chain := append([]string{file}, strings.Fields(rest)...)
		slices.Reverse(chain)
		needs[strings.TrimSuffix(filepath.Base(file), ".ko")] = chain
	}
	var order []string
	for _, module := range wanted {
		for _, file := range needs[module] {
			if !slices.Contains(order, file) {
				order = append(order, file)
			}
		}
	}
	return order
}
