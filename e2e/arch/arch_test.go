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

// A floor is a place in the tree, and what may be there. Imports run down: a
// package imports its own floor only where that is said.
type floor struct {
	path string   // a folder, and all below it
	on   []string // the floors that it may import
	why  string
	// vendors it may import; a floor without them lives on the standard library.
	vendors []string
	// quiet: no clock, file, network or log.
	quiet bool
}

// The library that checks documents against the schemas is the contract's.
const jsonschema = "github.com/santhosh-tekuri/jsonschema"

// small are libraries that any code but the pure may use.
var small = []string{"golang.org/x/", "github.com/oklog/ulid", "github.com/klauspost/compress", "github.com/cenkalti/backoff"}

// floors, from the ground up.
var floors = []floor{
	{path: "schemas", why: "schemas are documents"},
	{path: "pkg/certtest", why: "it helps tests, and is nothing else"},
	{path: "pkg/seedtest", why: "it helps tests, and is nothing else"},
	{path: "pkg/tracetest", why: "it helps tests, and is nothing else", vendors: []string{"go.opentelemetry.io/proto", "google.golang.org/protobuf"}},
	{path: "pkg/cdp", why: "the nouns import the standard library only", quiet: true},
	{path: "pkg/clock", on: []string{"pkg/cdp"}, why: "a clock is a noun", vendors: []string{"github.com/cenkalti/backoff"}},
	{path: "pkg/contract", on: []string{"pkg/cdp", "schemas", "pkg/contract"}, why: "what crosses a process is nouns and schemas",
		vendors: []string{jsonschema, "sigs.k8s.io/yaml", "golang.org/x/text", "github.com/oklog/ulid"}},
	{path: "pkg/core", on: []string{"pkg/cdp", "pkg/contract", "pkg/core"}, why: "pure code takes state, input and now, and gives state and effects", quiet: true},
	{path: "pkg/engine", on: []string{"pkg/cdp", "pkg/clock", "pkg/contract", "pkg/core", "pkg/engine"}, why: "an engine knows the outside by its ports only", vendors: small},
	{path: "pkg/adapter", on: []string{"pkg/cdp", "pkg/clock", "pkg/contract", "pkg/core", "pkg/engine"}, why: "an adapter knows one outside thing, and what it serves", vendors: small},
	{path: "pkg/client", on: []string{"pkg/cdp", "pkg/clock", "pkg/contract", "pkg/core", "pkg/engine/durable", "pkg/adapter/bus", "pkg/adapter/telemetry"}, why: "a client speaks the bus, carries traces, and keeps the context file", vendors: small},
	{path: "services", on: []string{"pkg/cdp", "pkg/clock", "pkg/contract", "pkg/core", "pkg/engine", "pkg/client"}, why: "a service speaks to ports, and knows no adapter and no other service", vendors: small},
	{path: "services/node", on: []string{"pkg", "schemas", "services"}, why: "here ports meet adapters", vendors: append([]string{"go.opentelemetry.io", "sigs.k8s.io/yaml"}, small...)},
	{path: "services/tidemark", on: []string{"pkg/cdp", "pkg/clock", "pkg/contract", "pkg/core", "pkg/client", "schemas", "services/node"}, why: "the command line speaks the client's language, and shows schemas",
		vendors: append([]string{"github.com/spf13", "sigs.k8s.io/yaml", "github.com/jedib0t/go-pretty", "github.com/vbauerster/mpb", "github.com/lmittmann/tint", "github.com/dustin/go-humanize"}, small...)},
}

// vendors are the outside things that one adapter each has. The bus carries
// traces and keeps its credentials with the tools beside it. A replica's images
// are files and block devices of the machine.
var adapters = []struct {
	path    string
	vendors []string
	on      []string
}{
	{path: "pkg/adapter/appliance", vendors: []string{"github.com/insomniacslk/dhcp", "github.com/vmware/vmw-guestinfo"}},
	{path: "pkg/adapter/bus", vendors: []string{"github.com/nats-io", "github.com/minio/highwayhash"}, on: []string{"pkg/adapter/telemetry", "pkg/adapter/bus"}},
	{path: "pkg/adapter/metrics", vendors: []string{"github.com/prometheus"}},
	{path: "pkg/adapter/pebblestore", vendors: []string{"github.com/cockroachdb/pebble"}},
	{path: "pkg/adapter/blockfile", on: []string{"pkg/adapter/localpath"}},
	{path: "pkg/adapter/nbd", on: []string{"pkg/adapter/localpath"}},
	{path: "pkg/adapter/replica", on: []string{"pkg/adapter/blockfile", "pkg/adapter/localpath"}},
	{path: "pkg/adapter/telemetry", vendors: []string{"go.opentelemetry.io"}},
	{path: "pkg/adapter/vsphere", on: []string{"pkg/adapter/localpath"}, vendors: []string{"github.com/vmware/govmomi"}},
	{path: "pkg/adapter/vcsim", vendors: []string{"github.com/vmware/govmomi", "github.com/google/uuid"}},
}

// debts run against the floors still. The list only gets shorter.
var debts = []string{}

// noisy are standard packages that pure code must not use.
var noisy = []string{"os", "net", "net/http", "log", "log/slog", "os/exec", "os/signal"}

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

// under says whether a package is in a folder or is it.
func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// floorOf is the innermost floor that a package is on.
func floorOf(path string) (f floor, ok bool) {
	for _, x := range floors {
		if under(path, x.path) && len(x.path) >= len(f.path) {
			f, ok = x, true
		}
	}
	return f, ok
}

func anyUnder(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return under(path, f) })
}

func TestWhoMayImportWhom(t *testing.T) {
	owed := map[string]bool{}
	for _, p := range packages(t) {
		if under(p.ImportPath, "e2e") {
			continue // tests may look at anything
		}
		f, ok := floorOf(p.ImportPath)
		if !ok {
			t.Errorf("%s is on no floor: say in floors what may be there", p.ImportPath)
			continue
		}
		on, vendors := f.on, f.vendors
		for _, a := range adapters {
			if under(p.ImportPath, a.path) {
				on, vendors = append(slices.Clone(on), a.on...), append(slices.Clone(vendors), a.vendors...)
			}
		}
		for _, imp := range p.Imports {
			own, ours := strings.CutPrefix(imp, root)
			debt := slices.IndexFunc(debts, func(d string) bool {
				from, to, _ := strings.Cut(d, " ")
				return from == p.ImportPath && strings.HasPrefix(own, to)
			})
			bad := func(why string) {
				if debt >= 0 {
					owed[debts[debt]] = true
					return
				}
				t.Errorf("%s imports %s: %s", p.ImportPath, own, why)
			}
			switch {
			case ours && under(own, "services") && f.path == "services":
				// Its own inner packages only.
				if service := strings.Join(strings.SplitN(p.ImportPath, "/", 3)[:2], "/"); !under(own, service) {
					bad(f.why)
				}
			case ours && !anyUnder(own, on):
				bad(f.why)
			case !ours && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") && !slices.ContainsFunc(vendors, func(v string) bool { return strings.HasPrefix(imp, v) }):
				bad(f.why + "; a vendor's library has one adapter")
			case f.quiet && slices.Contains(noisy, imp):
				bad("pure code does no I/O")
			}
		}
	}
	for _, d := range debts {
		if !owed[d] {
			t.Errorf("%q is paid: take it off the list of debts", d)
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
