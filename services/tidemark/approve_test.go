package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// hinted is the command that a refusal tells approvers to give.
var hinted = regexp.MustCompile(`tidemark approve (\S+) (\S+) '([^']+)' --site dr`)

// Where a site names approvers, nobody alone removes a point, shortens a journal, commits a
// failover or deletes a job: two persons with keys of their own agree to that very act first.
func TestTwoPersonsAgreeToWhatDestroysHistory(t *testing.T) {
	t.Parallel() // it mostly waits
	dir, home := short(t), t.TempDir()
	key := func(who string) string { return filepath.Join(home, who+".key") }
	public := func(who string) string {
		out, _ := do(t, 0, "", "approve", "--print-key", "--key", key(who))
		return strings.TrimSpace(out)
	}
	approvers := "approvers: [{name: ana, key: " + public("ana") + "}, {name: ben, key: " + public("ben") + "}], leaf:"
	l := labOf(t, dir, strings.Replace(upFile("127.0.0.1:0", ""), "leaf:", approvers, 1))
	file, source, replica := jobFile(t, dir)
	job := func(history string) {
		write(t, file, strings.Replace(goodJob(source, replica), "rpo: 1s", "rpo: 1h\n  journal: {history: "+history+"}", 1))
	}
	// takes gives a command alone, with one person and with two.
	takes := func(args ...string) {
		t.Helper()
		_, errs := l.do(exitConflict, args...)
		act := hinted.FindStringSubmatch(errs)
		if act == nil {
			t.Fatalf("tidemark %s does not say how to agree:\n%s", strings.Join(args, " "), errs)
		}
		approve := append([]string{"approve"}, act[1:]...)
		_, errs = l.do(exitUsage, append(approve, "--as", "ben", "--key", key("ana"))...)
		wants(t, errs, "not signed with the key of ben")
		for range 2 {
			out, _ := l.do(0, append(approve, "--as", "ana", "--key", key("ana"))...)
			wants(t, out, "ana agreed; one more has to")
		}
		_, errs = l.do(exitConflict, args...)
		wants(t, errs, "ana has")
		out, _ := l.do(0, append(approve, "--as", "ben", "--key", key("ben"))...)
		wants(t, out, "ana and ben agreed")
		l.do(0, args...)
	}

	out, _ := l.do(0, "status")
	lacks(t, out, "two persons")

	job("2h")
	l.do(0, "apply", "-f", file)
	job("1h")
	l.do(exitConflict, "apply", "-f", file, "--dry-run")
	takes("apply", "-f", file)
	job("3h")
	l.do(0, "apply", "-f", file)
	job("1h")
	l.do(exitConflict, "apply", "-f", file) // what was agreed to is done

	l.do(0, "job", "run", "web", "--no-wait")
	l.until("p", "point", "create", "web", "--tag", "keep", "--pin")
	takes("point", "unpin", "web", "keep")
	takes("point", "delete", "web", "keep")

	l.do(0, "failover", "web", "--mode", "production")
	takes("failover", "commit", "web")
	l.do(0, "job", "stop", "web")
	takes("delete", "job", "web", "--yes")
	out, _ = l.do(0, "audit", "web")
	wants(t, out, "scheduler.approve")
	out, _ = l.do(0, "audit", "--offline", dir, "web")
	wants(t, out, "scheduler.approve")
	out, _ = l.do(0, "audit", "verify", dir)
	wants(t, out, "proven")
	out, _ = l.do(exitFailed, "audit", "verify", dir, "--holds", strings.Repeat("1", 64))
	wants(t, out, "no record has the hash")
}
