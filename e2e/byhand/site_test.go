package byhand

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// sites are prod and dr in one process, with a shell beside them.
type sites struct {
	t     *testing.T
	dir   string
	up    *proc.Process
	conns map[cdp.Site]*bus.Conn // the operator's
	// listens are the lines that go on.
	listens []*proc.Process
}

// start starts both sites, with the disks of the README.
func start(t *testing.T) *sites {
	t.Helper()
	dir, err := os.MkdirTemp("", "tm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var addrs [3]any
	for i := range addrs {
		if addrs[i], err = proc.FreeAddr(); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "up.yaml")
	text := fmt.Sprintf("sites:\n  - {name: prod, listen: %q}\n  - {name: dr, listen: %q, leaf: %q}\nlinks: [{from: prod, to: dr}]\n", addrs[:]...)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &sites{t: t, dir: dir, conns: map[cdp.Site]*bus.Conn{}}
	s.up = &proc.Process{Name: "up", Log: filepath.Join(dir, "up.log"), Args: []string{filepath.Join(bin, "tidemark"), "up", "--dir", s.data(), "--config", file, "--allow", dir}}
	if err := s.up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proc.Stop(time.Minute, s.up) // what ended badly has said so
		if t.Failed() {
			t.Log("up said:\n" + s.up.Tail(4000))
		}
	})
	s.until("tidemark point list nothing 2>&1", "no such job")
	s.until("tidemark status --site prod", "No jobs")
	s.must("mkdir -p /vm/shop /replica/shop && truncate -s 1M /vm/shop/root.img /vm/shop/data.img")
	s.connect()
	return s
}

func (s *sites) data() string { return filepath.Join(s.dir, "data") }

func (s *sites) connect() {
	s.t.Helper()
	c, err := client.LoadContext(s.data())
	if err != nil {
		s.t.Fatal(err)
	}
	for site, ref := range c.Sites {
		conn, err := bus.Connect(s.t.Context(), bus.Config{Site: site, Name: subjects.Operator, URL: ref.URL, Credential: ref.Credential})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(conn.Close)
		s.conns[site] = conn
	}
}

// shell is a script as an operator would run it, whose directories are this test's own.
func (s *sites) shell(ctx context.Context, script string) *exec.Cmd {
	c := exec.CommandContext(ctx, "bash", "-c", s.here(script))
	c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "TIDEMARK_DIR="+s.data(), "XDG_CONFIG_HOME="+s.dir+"/config", "NATS_TIMEOUT=30s", "TERM=dumb", "NO_COLOR=1")
	c.Dir = s.dir
	return c
}

// here has a text name this test's own directories.
func (s *sites) here(text string) string {
	return strings.NewReplacer("/vm/", s.dir+"/vm/", "/replica/", s.dir+"/replica/").Replace(text)
}

// apply applies a document of the repository.
func (s *sites) apply(document string) {
	s.t.Helper()
	text, err := os.ReadFile(document)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, "job.yaml"), []byte(s.here(string(text))), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.must("tidemark apply -f job.yaml")
}

// sh runs a script and gives all it says, and whether it ended well.
func (s *sites) sh(script string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	out, err := s.shell(ctx, script).CombinedOutput()
	return string(out), err
}

func (s *sites) must(script string) string {
	s.t.Helper()
	out, err := s.sh(script)
	if err != nil {
		s.t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return out
}

// until runs a script until it says what is wanted.
func (s *sites) until(script, want string) {
	s.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, _ := s.sh(script)
		if strings.Contains(out, want) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: never %q:\n%s", script, want, out)
		}
	}
}

// records are what a site has recorded of a command to a service.
func (s *sites) records(site cdp.Site, service, verb string) (out []api.AuditRecord) {
	s.t.Helper()
	err := s.conns[site].Audit(s.t.Context(), site, func(r api.AuditRecord) error {
		if r.Service == service && r.What == verb {
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}
