// Package docs holds the documents to the code: what they name must exist.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const top = "../../"

var documents = []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "services/README.md", "deploy/vsphere.md", "deploy/compose/README.md", "deploy/systemd/README.md", "deploy/tracing.md", "deploy/nats.md"}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(top + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Paths in code font, and links between documents, lead to a file or folder.
func TestPathsExist(t *testing.T) {
	code := regexp.MustCompile("`((?:pkg|services|schemas|deploy|e2e|\\.ci)(?:/[a-z0-9_.-]+)*)`")
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, d := range documents {
		text := read(t, d)
		for _, m := range code.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(top + m[1]); err != nil {
				t.Errorf("%s names %s: %v", d, m[1], err)
			}
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(top, filepath.Dir(d), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", d, m[1], err)
			}
		}
	}
}

// The job in the README is the one of the examples.
func TestTheREADMEShowsTheExample(t *testing.T) {
	_, job, _ := strings.Cut(read(t, "deploy/examples/job-disks.yaml"), "\napiVersion")
	if !strings.Contains(read(t, "README.md"), "apiVersion"+job) {
		t.Error("README.md shows another job than deploy/examples/job-disks.yaml")
	}
}

// The README shows the commands that make the disks of its job.
func TestTheREADMEMakesTheDisksOfItsJob(t *testing.T) {
	readme := read(t, "README.md")
	var made string
	for line := range strings.Lines(readme) {
		if f := strings.Fields(line); len(f) > 0 && (f[0] == "mkdir" || f[0] == "truncate") {
			made += line
		}
	}
	_, spec, _ := strings.Cut(read(t, "deploy/examples/job-disks.yaml"), "source:")
	source, target, _ := strings.Cut(spec, "target:")
	path := regexp.MustCompile(`path: (/\S+)/(\S+)}`)
	for _, m := range path.FindAllStringSubmatch(source, -1) {
		if !strings.Contains(made, m[1]+"/"+m[2]) {
			t.Errorf("no command makes %s/%s", m[1], m[2])
		}
	}
	for _, m := range path.FindAllStringSubmatch(source+target, -1) {
		if !strings.Contains(made, m[1]+" ") && !strings.Contains(made, m[1]+"\n") {
			t.Errorf("no command makes the folder %s", m[1])
		}
	}
}

// A test that the tables of promises name is in the package beside its name.
func TestPromisesNameTests(t *testing.T) {
	in := regexp.MustCompile("`([a-z0-9/]+)`([^`]*)")
	name := regexp.MustCompile(`Test[A-Z]\w+`)
	n := 0
	for _, m := range in.FindAllStringSubmatch(read(t, "services/README.md")+read(t, "SECURITY.md"), -1) {
		for _, test := range name.FindAllString(m[2], -1) {
			n++
			if !has(t, m[1], "func "+test+"(") {
				t.Errorf("%s has no %s", m[1], test)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d tests are named", n)
	}
}

func has(t *testing.T, folder, text string) bool {
	t.Helper()
	files, err := filepath.Glob(top + folder + "/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(f string) bool {
		b, err := os.ReadFile(f)
		return err == nil && strings.Contains(string(b), text)
	})
}

// Every package has its line in CONTRIBUTING.md. Suites inside a package are named
// in the line of that package.
func TestEveryPackageHasItsLine(t *testing.T) {
	text := read(t, "CONTRIBUTING.md")
	for _, root := range []string{"pkg", "services"} {
		err := filepath.WalkDir(top+root, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			files, err := filepath.Glob(path + "/*.go")
			p := strings.TrimPrefix(path, top)
			if len(files) > 0 && !strings.Contains(text, "| `"+p+"` |") && !strings.Contains(text, "`"+filepath.Base(p)+"`") {
				t.Errorf("CONTRIBUTING.md does not say what %s is", p)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
