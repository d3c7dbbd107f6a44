package compose

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tidemark.dev/pkg/certtest"
	"tidemark.dev/services/node"
)

// The documented commands work: a source site of containers is killed and its disks are
// brought back by a message, byte for byte; and a site with a container for each
// service becomes healthy.
func TestContainers(t *testing.T) {
	e := startEngine(t)
	t.Run("the story", func(t *testing.T) {
		out := e.must(t, "make", "demo-compose")
		if n := strings.Count(out, "PROVEN"); n != 1 {
			t.Errorf("%d proofs in:\n%s", n, out)
		}
		if left := e.must(t, "docker", "ps", "-a", "-q"); left != "" {
			t.Errorf("containers are left behind: %s", left)
		}
	})
	t.Run("a whole site", e.wholeSite)
}

func (e *engine) wholeSite(t *testing.T) {
	home := t.TempDir()
	nats := filepath.Join(home, "nats")
	for _, d := range []string{"nats", "dr/capture", "dr/journal", "dr/scripts", "disks", "replicas", "vcenter", "tls"} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(files + "up.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tls := filepath.Join(home, "tls")
	certtest.New(t).Issue(tls)
	text = fmt.Appendf(text, "tls: {ca: %[1]s/ca.pem, cert: %[1]s/cert.pem, key: %[1]s/key.pem}\n", tls)
	file := filepath.Join(home, "up.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	keys := e.must(t, "bin/tidemark", "site", "keys", "prod", "--config", file, "--dir", filepath.Join(t.TempDir(), "prod"))
	key := regexp.MustCompile(`key: U\w+`).FindString(keys)
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), `:7422"}`, `:7422", `+key+"}", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	e.must(t, "bin/tidemark", "site", "secrets", "dr", "--config", file, "--dir", nats, "--out", filepath.Join(home, "secrets"))
	shm := fmt.Sprintf("/dev/shm/tidemark-dr%d", os.Getpid())
	t.Cleanup(func() { os.RemoveAll(shm) })
	compose := append([]string{"env", "TIDEMARK_HOME=" + home, "TIDEMARK_SITE=dr", "TIDEMARK_PEERS=prod", "TIDEMARK_WINDOWS=" + shm, "TIDEMARK_HEALTH_EVERY=2s",
		"TIDEMARK_TLS_CA=" + tls + "/ca.pem", "TIDEMARK_TLS_CERT=" + tls + "/cert.pem", "TIDEMARK_TLS_KEY=" + tls + "/key.pem",
		fmt.Sprintf("TIDEMARK_USER=%d:%d", os.Getuid(), os.Getgid())}, "docker-compose", "-p", e.netns, "-f", "deploy/compose/site.yaml")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(e.run(append(compose, "logs", "--no-color", "--tail", "20")...))
		}
		e.must(t, append(compose, "down", "-t", "5")...)
	})
	e.must(t, append(compose, "up", "-d")...)
	eventually(t, "all containers to be healthy", func() error {
		ps := e.must(t, "docker", "ps", "--format", "{{.Names}} {{.Status}}")
		if strings.Count(ps, "(healthy)") != len(node.Services())+1 {
			return fmt.Errorf("the containers are:\n%s", ps)
		}
		return nil
	})
	e.must(t, "bin/tidemark", "--dir", nats, "status")
}
