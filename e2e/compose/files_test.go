package compose

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"tidemark.dev/services/node"
)

const (
	top   = "../.."
	files = top + "/deploy/compose/"
)

// container is what the tests look at of a service in a compose file.
type container struct {
	Image       string   `json:"image"`
	User        string   `json:"user"`
	Command     []string `json:"command"`
	ReadOnly    bool     `json:"read_only"`
	CapDrop     []string `json:"cap_drop"`
	CapAdd      []string `json:"cap_add"`
	SecurityOpt []string `json:"security_opt"`
	Privileged  bool     `json:"privileged"`
	NetworkMode string   `json:"network_mode"`
	Networks    []string `json:"networks"`
	Ports       []string `json:"ports"`
	Secrets     []string `json:"secrets"`
	Restart     string   `json:"restart"`
	MemLimit    string   `json:"mem_limit"`
	PIDs        int      `json:"pids_limit"`
	Healthcheck struct {
		Test []string `json:"test"`
	} `json:"healthcheck"`
}

type composeFile struct {
	Services map[string]container `json:"services"`
	Networks map[string]struct {
		Internal bool `json:"internal"`
	} `json:"networks"`
}

func load(t *testing.T, name string) (f composeFile) {
	t.Helper()
	data, err := os.ReadFile(files + name)
	if err == nil {
		err = yaml.Unmarshal(data, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every container is closed as far as can be: its root cannot be written, it has no
// capability and no way to get one, its memory and processes are bounded, and its health
// is checked.
func TestEveryContainerIsConfined(t *testing.T) {
	for _, name := range []string{"site.yaml", "demo.yaml"} {
		f := load(t, name)
		if len(f.Services) < 5 {
			t.Errorf("%s: only %d containers", name, len(f.Services))
		}
		for s, c := range f.Services {
			ours := strings.HasPrefix(c.Image, "${TIDEMARK_IMAGE:-tidemark}")
			if !c.ReadOnly || !slices.Equal(c.CapDrop, []string{"ALL"}) || len(c.CapAdd) > 0 || c.Privileged || c.NetworkMode != "" {
				t.Errorf("%s: %s may too much", name, s)
			}
			if !slices.Contains(c.SecurityOpt, "no-new-privileges:true") || ours && !strings.HasPrefix(c.User, "${TIDEMARK_USER:-65532") {
				t.Errorf("%s: %s may become root", name, s)
			}
			if c.MemLimit == "" || c.PIDs == 0 || c.Restart == "" || len(c.Healthcheck.Test) == 0 {
				t.Errorf("%s: %s has no limit of memory or processes, no health check, or is not started again", name, s)
			}
			for _, p := range c.Ports {
				if !strings.HasPrefix(p, "127.0.0.1:") && !strings.Contains(p, ":-127.0.0.1:") {
					t.Errorf("%s: %s is published beyond this machine by default: %s", name, s, p)
				}
			}
		}
	}
}

// A container that runs a service has the user of that service and no other, checks
// that service, and reaches no other network than the site's, unless it must.
func TestEachServiceHasItsOwnUserOnly(t *testing.T) {
	for _, name := range []string{"site.yaml", "demo.yaml"} {
		f := load(t, name)
		for s, c := range f.Services {
			if len(c.Command) < 2 || c.Command[0] != "serve" {
				continue
			}
			if len(c.Secrets) != 1 || !strings.HasSuffix(s, c.Command[1]) || c.Secrets[0] != s {
				t.Errorf("%s: %s serves %s with %v", name, s, c.Command[1], c.Secrets)
			}
			if i := slices.Index(c.Healthcheck.Test, "health"); i < 0 || c.Healthcheck.Test[i+1] != c.Command[1] {
				t.Errorf("%s: %s is checked by %v", name, s, c.Healthcheck.Test)
			}
			for _, n := range c.Networks {
				if !f.Networks[n].Internal && c.Command[1] != "vcenter" && c.Command[1] != "orchestrator" {
					t.Errorf("%s: %s reaches the network %s", name, s, n)
				}
			}
		}
	}
}

func TestASiteHasEveryService(t *testing.T) {
	f := load(t, "site.yaml")
	for _, s := range append(node.Services(), "nats") {
		if _, has := f.Services[s]; !has {
			t.Errorf("site.yaml has no %s", s)
		}
	}
	up, err := node.LoadConfig(files + "up.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range up.Sites {
		if s.Services == nil || len(s.Services) > 0 {
			t.Errorf("up.yaml: the services of %s run in its server's container", s.Name)
		}
	}
}
