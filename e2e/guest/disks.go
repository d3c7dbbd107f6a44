package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

const suite = "bookworm"

// debstrap lists mmdebstrap's options but for the paths. PostgreSQL's server
// package includes amcheck; its own cluster is not created, ours is.
var debstrap = []string{
	"--variant=minbase",
	"--mode=root",
	"--include=postgresql-15",
	`--aptopt=Apt::Install-Recommends "false"`,
	"--dpkgopt=path-exclude=/usr/share/doc/*",
	`--essential-hook=mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"`,
	`--customize-hook=sh "$TIDEMARK_ASSETS/hook.sh" "$1"`,
}

// mkfs lists mkfs.ext4's options but for size and paths. Everything is written
// at once, so that no background initialisation shows up in a guest's write log;
// the journals are small so that initial copies are.
var mkfs = []string{"-q", "-F", "-m", "0", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0"}

// diskRecipe is everything the disks' content depends on, apart from what the
// Debian mirror offers that day.
func diskRecipe() []string {
	recipe := []string{"disks 1", suite, fmt.Sprint(RootBytes, DataBytes), asset("hook.sh"), asset("provision.sh"), asset("schema.sql")}
	return append(append(recipe, debstrap...), mkfs...)
}

// buildDisks leaves vmlinuz, modules/, root.raw and data.raw in dir.
func buildDisks(ctx context.Context, dir string) error {
	if os.Geteuid() != 0 {
		return errors.New("building the guest's disks needs root (file owners, chroot); run the tests once as root")
	}
	sources, err := aptSources("/etc/apt")
	if err != nil {
		return err
	}
	tree, debs, scripts := filepath.Join(dir, "tree"), filepath.Join(dir, "debs"), filepath.Join(dir, "scripts")
	for _, d := range []string{debs, scripts} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := writeAssets(scripts, "hook.sh", "provision.sh", "schema.sql"); err != nil {
		return err
	}
	// mmdebstrap drops privileges to fetch packages: its target must be reachable.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	env := []string{"TIDEMARK_ASSETS=" + scripts, "TIDEMARK_KERNEL=" + debs}
	args := append(append([]string{}, debstrap...), suite, tree)
	if err := runIsolated(ctx, env, "mmdebstrap", append(args, sources...)...); err != nil {
		return err
	}
	if err := unpackKernel(ctx, debs, dir, drivers); err != nil {
		return err
	}
	// The log's disk is what the tree has under /wal, which stays as its mount point.
	if err := os.Rename(filepath.Join(tree, "wal"), filepath.Join(dir, "wal")); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(tree, "wal"), 0o755); err != nil {
		return err
	}
	if err := makeDisk(ctx, filepath.Join(dir, "root.raw"), tree, RootBytes); err != nil {
		return err
	}
	if err := makeDisk(ctx, filepath.Join(dir, "data.raw"), filepath.Join(dir, "wal"), DataBytes); err != nil {
		return err
	}
	for _, d := range []string{tree, debs, scripts, filepath.Join(dir, "wal")} {
		if err := os.RemoveAll(d); err != nil {
			return err
		}
	}
	return nil
}

// makeDisk writes an ext4 image of size bytes that holds tree, owners included.
func makeDisk(ctx context.Context, image, tree string, size int64) error {
	args := append(append([]string{}, mkfs...), "-d", tree, image, strconv.FormatInt(size>>10, 10)+"k")
	return run(ctx, nil, "mkfs.ext4", args...)
}
