package packages

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// must runs a command at the top of the tree.
func must(t *testing.T, env []string, args ...string) string {
	t.Helper()
	c := exec.Command(args[0], args[1:]...)
	c.Dir, c.Env = top, append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// one is the only file that matches.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

// A system of its own gets each package, whose scripts run in it, has all that the unit
// needs, and keeps its settings and journals over an upgrade and a removal. A service that
// runs is restarted by an upgrade, and stopped and disabled by a removal only.
func TestThePackagesInstallUpgradeAndRemove(t *testing.T) {
	bin, err := filepath.Abs(filepath.Join(top, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	// As make itself builds, so that nothing is compiled twice.
	must(t, []string{"GOFLAGS="}, "make", "packages", "PACKAGE_VERSION=1.0.0")
	newer := t.TempDir()
	for kind, manage := range map[string]struct{ install, upgrade, remove []string }{
		"deb": {[]string{"dpkg", "--force-depends", "--install"}, []string{"dpkg", "--force-depends", "--install"}, []string{"dpkg", "--purge", "tidemark"}},
		"rpm": {[]string{"rpm", "--nodeps", "--install"}, []string{"rpm", "--nodeps", "--upgrade"}, []string{"rpm", "--erase", "tidemark"}},
	} {
		must(t, []string{"GOARCH=" + runtime.GOARCH, "PACKAGE_VERSION=1.1.0"}, bin+"/nfpm", "package", "-f", "deploy/packages/nfpm.yaml", "-p", kind, "-t", newer)
		t.Run(kind, func(t *testing.T) {
			root := newRoot(t)
			in := func(args []string, more ...string) {
				t.Helper()
				// The scripts need /proc, in a mount namespace that ends with them.
				must(t, nil, slices.Concat([]string{"unshare", "--mount", "sh", "-ec", `mount -t proc proc "$0/proc"; exec "$@"`, root},
					args[:1], []string{"--root=" + root}, args[1:], more)...)
			}
			in(manage.install, one(t, bin+"/*1.0.0*."+kind))
			complete(t, root)
			provided(t, root)
			asked(t, root, "daemon-reload", "try-restart tidemark.service")
			kept := []string{"etc/tidemark/up.yaml", "var/lib/tidemark/journal"}
			for _, f := range kept {
				write(t, filepath.Join(root, f), "ours")
			}
			in(manage.upgrade, one(t, newer+"/*1.1.0*."+kind))
			complete(t, root)
			provided(t, root)
			asked(t, root, "daemon-reload", "try-restart tidemark.service")
			in(manage.remove)
			asked(t, root, "disable --now tidemark.service", "daemon-reload")
			if _, err := os.Stat(filepath.Join(root, "usr/bin/tidemark")); err == nil {
				t.Error("the program is left")
			}
			for _, f := range kept {
				if text, err := os.ReadFile(filepath.Join(root, f)); err != nil || string(text) != "ours" {
					t.Errorf("%s is %q, %v", f, text, err)
				}
			}
		})
	}
}

// asked fails unless the scripts asked systemd for this, and for nothing else, since the
// last look. To read the units again does no harm, however often.
func asked(t *testing.T, root string, want ...string) {
	t.Helper()
	log := filepath.Join(root, "systemctl.log")
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(text)), "\n")
	sort := func(s []string) []string { return slices.Compact(slices.Sorted(slices.Values(s))) }
	if !slices.Equal(sort(got), sort(want)) {
		t.Errorf("systemd was asked for %q, want %q", got, want)
	}
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
}

// newRoot is the root directory of a system without any package, that runs systemd as far
// as scripts can tell: it has a shell, what makes users and directories, and a systemctl
// that writes down what it is asked for.
func newRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range []string{"var/lib/dpkg/status", "var/lib/dpkg/available", "var/lib/dpkg/info/format", "etc/group"} {
		write(t, filepath.Join(root, f), map[bool]string{true: "1\n"}[strings.HasSuffix(f, "format")])
	}
	for _, d := range []string{"var/lib/dpkg/updates", "dev", "tmp", "bin", "proc", "run/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	must(t, nil, "cp", "/bin/busybox", filepath.Join(root, "bin/sh"))
	must(t, nil, "sh", "-ec", `cd /; for p in systemd-sysusers systemd-tmpfiles; do
		p=$(command -v $p); { echo $p; ldd $p | grep -o '/[^ ]*'; } | sort -u | xargs cp -L --parents -t "$0"; done`, root)
	fake := filepath.Join(root, "bin/systemctl")
	write(t, fake, "#!/bin/sh\necho \"$@\" >>/systemctl.log\n")
	if err := os.Chmod(fake, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// complete fails unless the root has the files of the package, and a program that needs
// no other.
func complete(t *testing.T, root string) {
	t.Helper()
	program, err := elf.Open(filepath.Join(root, "usr/bin/tidemark"))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the program needs %v, %v", libraries, err)
	}
	for _, f := range []string{"usr/lib/systemd/system/tidemark.service", "usr/lib/sysusers.d/tidemark.conf", "usr/lib/tmpfiles.d/tidemark.conf",
		"usr/share/man/man1/tidemark.1", "usr/share/bash-completion/completions/tidemark", "usr/share/fish/vendor_completions.d/tidemark.fish",
		"usr/share/doc/tidemark/copyright", "usr/share/doc/tidemark/NOTICE", "usr/share/doc/tidemark/examples/up-two-machines.yaml"} {
		st, err := os.Stat(filepath.Join(root, f))
		if err != nil || st.Size() == 0 || st.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", f, st, err)
		}
	}
}

// provided fails unless the package's scripts made the user and the directory of the unit.
func provided(t *testing.T, root string) {
	t.Helper()
	users, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil || strings.Count(string(users), "tidemark:x:") != 1 {
		t.Errorf("the users are %q, %v", users, err)
	}
	if st, err := os.Stat(filepath.Join(root, "etc/tidemark")); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("the directory of the settings: %v, %v", st, err)
	}
}
