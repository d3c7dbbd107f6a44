package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// systemd runs one of systemd's tools, which need no running systemd for this.
func systemd(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
	return string(out)
}

// unit is the unit with and without the drop-in of a transporter, in a directory of its
// own, with a program that exists.
func unit(t *testing.T, transporter bool) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "tidemark.service")
	text := strings.ReplaceAll(read(t, "deploy/systemd/tidemark.service"), "/usr/bin/tidemark", "/bin/true")
	if transporter {
		// As a drop-in, it is read after the unit.
		_, more, _ := strings.Cut(read(t, "deploy/systemd/transporter.conf"), "[Service]\n")
		text = strings.Replace(text, "[Install]", more+"\n[Install]", 1)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// systemd accepts the unit and finds it closed: nothing that it could be denied is open
// but what is listed here.
func TestTheUnitIsCorrectAndClosed(t *testing.T) {
	for name, c := range map[string]struct {
		transporter bool
		exposure    float64
		capability  string
	}{
		"a site":        {false, 1.5, ""},
		"a transporter": {true, 2.6, "CAP_DAC_OVERRIDE"},
	} {
		t.Run(name, func(t *testing.T) {
			path := unit(t, c.transporter)
			if out := systemd(t, "systemd-analyze", "verify", path); strings.Contains(out, path) {
				t.Error(out)
			}
			report := systemd(t, "systemd-analyze", "--no-pager", "security", "--offline=true", path)
			m := regexp.MustCompile(`Overall exposure level for tidemark.service: ([0-9.]+)`).FindStringSubmatch(report)
			if m == nil {
				t.Fatal(report)
			}
			if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > c.exposure {
				t.Errorf("exposure %s, at most %v wanted:\n%s", m[1], c.exposure, report)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			granted := ""
			for _, m := range regexp.MustCompile(`(?m)^AmbientCapabilities=(.*)$`).FindAllStringSubmatch(string(text), -1) {
				granted += m[1]
			}
			if granted != c.capability || !strings.Contains(string(text), "\nUser=tidemark\n") {
				t.Errorf("it runs with the capabilities %q, %q wanted, or not as its own user", granted, c.capability)
			}
		})
	}
}

// The user and the directories of the unit can be made as its files say, and nobody but
// that user may write to them.
func TestTheUnitsUserAndDirectoriesAreMade(t *testing.T) {
	root := t.TempDir()
	top, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	systemd(t, "systemd-sysusers", "--root="+root, filepath.Join(top, "deploy/systemd/tidemark.sysusers"))
	users, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil || !strings.Contains(string(users), "tidemark:x:") || !strings.Contains(string(users), "/nologin") {
		t.Fatalf("%s, %v", users, err)
	}
	systemd(t, "systemd-tmpfiles", "--create", "--root="+root, filepath.Join(top, "deploy/systemd/tidemark.tmpfiles"))
	for path, mode := range map[string]os.FileMode{"dev/shm/tidemark": 0o700, "etc/tidemark": 0o750} {
		st, err := os.Stat(filepath.Join(root, path))
		if err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
}
