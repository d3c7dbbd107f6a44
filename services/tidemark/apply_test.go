package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestBadDocuments: every problem of a document is named, and nothing is changed.
func TestBadDocuments(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	_, src, dst := jobFile(t, dir)
	text := goodJob(src, dst)
	file := filepath.Join(dir, "bad.yaml")
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":       {"", []string{"nothing"}},
		"no YAML":       {"a: [", []string{"line"}},
		"unknown kind":  {strings.Replace(text, "ReplicationJob", "Job", 1), []string{"kind", "ReplicationJob"}},
		"unknown field": {text + "  colour: blue\n", []string{"colour"}},
		"twice a key":   {text + "  rpo: 5s\n", []string{"rpo"}},
		"two problems": {strings.NewReplacer("rpo: 1s", "rpo: 1ms", "name: web", "name: Web!").Replace(text),
			[]string{"2 problems", "/metadata/name", "/spec/rpo"}},
		"same disk":     {strings.Replace(text, dst, "relative.img", 1), []string{"/spec/target/disks/0/path"}},
		"other site":    {strings.Replace(text, "site: dr", "site: moon", 1), []string{"moon", "dr"}},
		"unknown site":  {strings.Replace(text, "site: prod", "site: moon", 1), []string{"moon", "prod"}},
		"good then bad": {text + "---\n" + strings.Replace(text, "name: web", "name: 9", 1), []string{"/metadata/name"}},
	} {
		write(t, file, c.text)
		for _, more := range [][]string{nil, {"--dry-run"}} {
			_, errs := l.do(exitUsage, append([]string{"apply", "-f", file}, more...)...)
			for _, w := range c.want {
				if !strings.Contains(errs, w) {
					t.Errorf("%s: %q is not in:\n%s", name, w, errs)
				}
			}
		}
	}
	if out, _ := l.do(0, "get", "-o", "json"); strings.Contains(out, "web") {
		t.Error("something was changed:", out)
	}
}

// badArguments are command lines that must fail, with their codes and a word of the
// error. There is no job web.
var badArguments = []struct {
	code int
	args string
	want string
}{
	{exitUsage, "apply", "-f"},
	{exitUsage, "apply -f /nowhere.yaml", "/nowhere.yaml"},
	{exitUsage, "frobnicate", "frobnicate"},
	{exitUsage, "statsu", "Did you mean this? status"},
	{exitUsage, "job", "--help"},
	{exitUsage, "job run", "arg"},
	{exitUsage, "status --loud", "loud"},
	{exitUsage, "get -o xml", "json"},
	{exitUsage, "get disk", "job, site or plan"},
	{exitUsage, "failover web", "--mode"},
	{exitUsage, "failover web --mode test --to files", "nbd"},
	{exitUsage, "failover web --mode test --planned", "planned"},
	{exitUsage, "failover web --mode test --point p1 --at 5m", "point"},
	{exitUsage, "failover web --mode test --at yesterday", "yesterday"},
	{exitUsage, "export web", "--point"},
	{exitUsage, "events a.b.c.d", "AREA"},
	{exitUsage, "serve toaster", "toaster"},
	{exitNotFound, "get job web", "web"},
	{exitNotFound, "job run web", "web"},
	{exitNotFound, "job status web", "web"},
	{exitNotFound, "point list web", "web"},
	{exitNotFound, "failover web --mode test", "web"},
	{exitNotFound, "failover undo web", "ever started"},
	{exitNotFound, "failover status web", "ever started"},
	{exitNotFound, "delete job web", "web"},
	{exitNotFound, "tap attach web --disk d --qmp /x --device y", "web"},
}

// TestBadArguments: every kind of wrong command line fails with its own code, and
// says what is wrong.
func TestBadArguments(t *testing.T) {
	l := newLab(t, short(t), "")
	for _, c := range badArguments {
		if _, errs := l.do(c.code, strings.Fields(c.args)...); !strings.Contains(errs, c.want) {
			t.Errorf("%s: %q is not in:\n%s", c.args, c.want, errs)
		}
	}
}

// TestApply: a dry run changes nothing, applying twice is once, and what get prints
// can be applied.
func TestApply(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	good, _, _ := jobFile(t, dir)
	if out, _ := l.do(0, "apply", "-f", good, "--dry-run"); !strings.Contains(out, "created (dry run)") {
		t.Error(out)
	}
	l.do(exitNotFound, "get", "job", "web")
	for _, want := range []string{"created", "unchanged"} {
		if out, _ := l.do(0, "apply", "-f", good); !strings.Contains(out, want) {
			t.Error(out)
		}
	}
	// What get prints can be applied.
	out, _ := l.do(0, "get", "job", "web", "-o", "yaml")
	if out, _ := do(t, 0, out, "apply", "-f", "-", "--dir", dir); !strings.Contains(out, "unchanged") {
		t.Error(out)
	}
	if _, errs := l.do(exitConflict, "point", "create", "web"); !strings.Contains(errs, "job run web") {
		t.Error(errs)
	}
	if out, _ := l.do(0, "status"); !strings.Contains(out, "stopped") || !strings.Contains(out, "no data") || strings.Contains(out, "protected") {
		t.Error("never ran, but:", out)
	}
	l.do(0, "delete", "job", "web")
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	if _, errs := do(t, exitUnreachable, "", "status", "--dir", dir); !strings.Contains(errs, "tidemark up") {
		t.Error(errs)
	}
	if _, errs := do(t, exitUnreachable, "", "status", "--nats", "nats://127.0.0.1:1", "--connect-timeout", "200ms"); !strings.Contains(errs, "running") {
		t.Error(errs)
	}
	do(t, exitUsage, "", "status", "--nats", "not a url")
	do(t, exitUsage, "", "up", "--config", write(t, filepath.Join(dir, "up.yaml"), "sauce: {}\n"))
	do(t, exitUsage, "", "up", "--config", write(t, filepath.Join(dir, "up.yaml"), "target: {name: prod}\n"))
}

// TestHelp: every command says what it does, shows an example, and the codes.
func TestHelp(t *testing.T) {
	a := &app{}
	for _, c := range a.root().Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		out, _ := do(t, 0, "", c.Name(), "--help")
		if !strings.Contains(out, "Examples:") || c.Short == "" {
			t.Errorf("%s has no example:\n%s", c.Name(), out)
		}
		for _, s := range c.Commands() {
			out, _ := do(t, 0, "", c.Name(), s.Name(), "--help")
			if !strings.Contains(out, "Examples:") || !strings.Contains(out, "Exit codes:") {
				t.Errorf("%s %s: no example, or no exit codes:\n%s", c.Name(), s.Name(), out)
			}
		}
	}
}
