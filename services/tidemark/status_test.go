package main

import (
	"strings"
	"testing"
)

// A script reads from the exit code how well everything is protected, and from an
// option that does not fit where the help is.
func TestStatusForScripts(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	d.do(0, "status", "--check")
	if out, _ := d.do(0, "status", "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Error(out)
	}
	dir := t.TempDir()
	_, src, dst := jobFile(t, dir)
	out, _ := d.apply(0, goodJob(src, dst), "-o", "json")
	wants(t, out, `"name": "web"`, `"change": "created"`)
	if out, errs := d.do(2, "status", "--check"); !strings.Contains(out, "stopped") || errs != "" {
		t.Errorf("%q %q", out, errs)
	}
	d.do(2, "job", "status", "web", "--check")
	out, _ = d.do(0, "status", "-o", "json")
	wants(t, out, `"level": "not-protected"`, `"objectiveSeconds": 1`)
	if out, _ := d.do(0, "status", "-o", "name"); out != "web\n" {
		t.Errorf("%q", out)
	}
	if out, _ := d.do(0, "get", "job", "-o", "name"); out != "web\n" {
		t.Errorf("%q", out)
	}
	_, errs := d.do(exitUsage, "failover", "web", "--mode", "test", "--to", "paper", "--nonsense")
	wants(t, errs, "hint: tidemark failover --help")
	_, errs = d.do(exitUsage, "point", "list")
	wants(t, errs, "hint: tidemark point list --help")
	out, _ = do(t, 0, "", "--version")
	wants(t, out, "tidemark "+version)
}

// What a shell asks for is completed: jobs, sites, kinds, and the words of options.
func TestCompletion(t *testing.T) {
	d := newDesk(t)
	_, src, dst := jobFile(t, t.TempDir())
	d.apply(0, goodJob(src, dst))
	for _, x := range []struct {
		want, lacks string
		args        []string
	}{
		{"web\n", "prod", []string{"status", ""}},
		{"web\n", "", []string{"failover", "w"}},
		{"web\n", "", []string{"get", "job", ""}},
		{"dr\nprod\n", "web", []string{"get", "site", ""}},
		{"job\nsite\n", "", []string{"delete", ""}},
		{"test\nproduction\n", "", []string{"failover", "web", "--mode", ""}},
		{"dr\nprod\n", "", []string{"status", "--site", ""}},
		{"json\n", "", []string{"status", "-o", ""}},
		{":", "web", []string{"status", "x"}},
	} {
		out, _ := do(t, 0, "", append([]string{"__complete", "--nats", d.url}, x.args...)...)
		if !strings.Contains(out, x.want) || x.lacks != "" && strings.Contains(out, x.lacks) {
			t.Errorf("%v: want %q, not %q:\n%s", x.args, x.want, x.lacks, out)
		}
	}
}
