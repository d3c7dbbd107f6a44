package arch

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath, Name, Dir string
	Imports               []string
	TestImports           []string
}

const root = "tidemark.dev/"

// vendors may be imported by these packages only: an adapter has one outside
// thing to adapt, and everything else stays free of it.
var vendors = []struct {
	prefix, why string
	by          []string
}{
	{"github.com/cockroachdb/pebble", "only the journals' store knows Pebble", []string{"pkg/pebblestore"}},
	{"github.com/nats-io", "only the bus knows NATS", []string{"pkg/bus", "pkg/bus/", "services/tidemark"}},
	{"go.opentelemetry.io", "only telemetry and the bus know traces' library", []string{"pkg/telemetry", "pkg/bus", "services/tidemark"}},
	{"github.com/vmware/govmomi", "only the adapter knows vCenters", []string{"pkg/vsphere", "pkg/vsphere/"}},
	{"github.com/spf13", "only the binary has a command line", []string{"services/tidemark"}},
}

// pure packages may import the standard library, the nouns, and each other.
var pure = []string{"pkg/cdp", "pkg/frame", "pkg/admit", "pkg/history", "pkg/api", "pkg/plan", "pkg/rpo", "pkg/vms", "pkg/bus/spool"}

// noClock are standard packages that pure code must not use: state, input and
// now go in, state and effects come out.
var noClock = []string{"os", "net", "net/http", "log", "log/slog", "os/exec", "os/signal"}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Imports,TestImports",
		"./schemas/...", "./pkg/...", "./services/...", "./e2e/...")
	cmd.Dir = "../.."
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ps []pkg
	for dec := json.NewDecoder(out); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, root)
		ps = append(ps, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	if len(ps) < 10 {
		t.Fatalf("only %d packages found", len(ps))
	}
	return ps
}

func TestWhoMayImportWhom(t *testing.T) {
	for _, p := range packages(t) {
		isPure := slices.Contains(pure, p.ImportPath)
		service, isService := strings.CutPrefix(p.ImportPath, "services/")
		service, _, _ = strings.Cut(service, "/")
		for _, imp := range p.Imports {
			own, ours := strings.CutPrefix(imp, root)
			bad := func(why string) { t.Errorf("%s imports %s: %s", p.ImportPath, imp, why) }
			for _, v := range vendors {
				if strings.HasPrefix(imp, v.prefix) && !slices.ContainsFunc(v.by, func(s string) bool {
					return p.ImportPath == s || strings.HasSuffix(s, "/") && strings.HasPrefix(p.ImportPath, s)
				}) && !strings.HasPrefix(p.ImportPath, "e2e/") {
					bad(v.why)
				}
			}
			if isPure && !ours && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
				bad("pure code needs nothing but the standard library")
			}
			// Events and commands are shapes too, though their package checks them
			// with a schema library.
			if isPure && ours && !slices.Contains(pure, own) && own != "pkg/event" {
				bad("pure code imports pure code only")
			}
			if isPure && slices.Contains(noClock, imp) {
				bad("pure code does no I/O")
			}
			if p.ImportPath == "pkg/cdp" && ours {
				bad("the nouns import the standard library only")
			}
			if strings.HasPrefix(own, "e2e/") && ours && !strings.HasPrefix(p.ImportPath, "e2e/") {
				bad("the product does not know its tests")
			}
			if strings.HasPrefix(own, "services/") && ours {
				other, _, _ := strings.Cut(strings.TrimPrefix(own, "services/"), "/")
				if !strings.HasPrefix(p.ImportPath, "e2e/") && service != "tidemark" && other != service {
					bad("a service never imports another")
				}
			}
			if isService && service != "tidemark" && ours && (own == "pkg/bus" || own == "pkg/pebblestore" || own == "pkg/replica" || own == "pkg/qmp" || own == "pkg/vsphere") {
				bad("a service speaks to ports; the binary wires the adapters")
			}
			if strings.HasPrefix(p.ImportPath, "pkg/") && strings.HasPrefix(own, "services/") && ours {
				bad("tools do not know the services")
			}
		}
	}
}

func TestNoTwoPackagesShareAName(t *testing.T) {
	seen := map[string]string{}
	for _, p := range packages(t) {
		if p.Name == "main" {
			continue
		}
		if other, ok := seen[p.Name]; ok {
			t.Errorf("%s and %s are both called %s", other, p.ImportPath, p.Name)
		}
		seen[p.Name] = p.ImportPath
		if slices.Contains([]string{"common", "util", "utils", "types", "base", "helpers"}, p.Name) {
			t.Errorf("%s: a name that says nothing", p.ImportPath)
		}
	}
}
