package sites

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
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"
)

// Tree is a hub and its spokes: each site is one `tidemark up --only SITE` with
// a directory of its own, as on machines of their own. Every spoke dials the hub
// through a proxy, so that its link can be cut.
type Tree struct {
	t     testing.TB
	dir   string
	bin   Binaries
	Sites map[cdp.Site]*proc.Process
	Links map[cdp.Site]*bustest.Proxy // by spoke
}

// StartTree starts the sites; they end with the test, and their logs are shown
// if it failed.
func StartTree(t testing.TB, dir string, bin Binaries, hub cdp.Site, spokes ...cdp.Site) *Tree {
	t.Helper()
	tree := &Tree{t: t, dir: dir, bin: bin, Sites: map[cdp.Site]*proc.Process{}, Links: map[cdp.Site]*bustest.Proxy{}}
	leaf := tree.free()
	text := fmt.Sprintf("sites:\n  - {name: %s, listen: %q, leaf: %q}\n", hub, tree.free(), leaf)
	for _, s := range spokes {
		text += fmt.Sprintf("  - {name: %s, listen: %q}\n", s, tree.free())
	}
	text += "links:\n"
	for _, s := range spokes {
		tree.Links[s] = bustest.NewProxy(t, leaf)
		text += fmt.Sprintf("  - {from: %s, to: %s, dial: %q}\n", s, hub, tree.Links[s].Addr())
	}
	tree.write("draft", text)
	keyed := "links:\n"
	for _, s := range spokes { // each at its own machine
		out, err := exec.Command(bin.Tidemark, "site", "keys", string(s), "--config", tree.file("draft"), "--dir", tree.Dir(s)).Output()
		if err != nil {
			t.Fatal(err)
		}
		keyed += strings.TrimPrefix(string(out), "links:\n")
	}
	tree.write("up.yaml", text[:strings.Index(text, "links:\n")]+keyed)
	for _, s := range append([]cdp.Site{hub}, spokes...) {
		tree.Sites[s] = &proc.Process{Name: string(s), Log: tree.file(string(s) + ".log"),
			Args: []string{bin.Tidemark, "up", "--only", string(s), "--dir", tree.Dir(s), "--allow", tree.dir, "--config", tree.file("up.yaml")}}
	}
	t.Cleanup(tree.end)
	for _, s := range append(spokes, hub) { // in any order: the hub is last
		tree.Start(s)
	}
	return tree
}

func (tree *Tree) free() string {
	tree.t.Helper()
	addr, err := proc.FreeAddr()
	if err != nil {
		tree.t.Fatal(err)
	}
	return addr
}

func (tree *Tree) file(name string) string { return filepath.Join(tree.dir, name) }

func (tree *Tree) write(name, text string) {
	tree.t.Helper()
	if err := os.WriteFile(tree.file(name), []byte(text), 0o600); err != nil {
		tree.t.Fatal(err)
	}
}

// Dir is a site's own directory.
func (tree *Tree) Dir(s cdp.Site) string { return tree.file("data-" + string(s)) }

// Start starts a site, the first time or after Kill.
func (tree *Tree) Start(s cdp.Site) {
	tree.t.Helper()
	if err := tree.Sites[s].Start(); err != nil {
		tree.t.Fatal(err)
	}
}

// Kill ends a site as a power failure does.
func (tree *Tree) Kill(s cdp.Site) { proc.Kill(tree.Sites[s]) }

func (tree *Tree) end() {
	for _, p := range tree.Sites {
		proc.Kill(p)
	}
	if !tree.t.Failed() {
		return
	}
	for s, p := range tree.Sites {
		tree.t.Logf("--- the end of the log of %s\n%s", s, p.Tail(2500))
	}
}

// Tidemark runs the command line at a site, as an operator there does.
func (tree *Tree) Tidemark(ctx context.Context, s cdp.Site, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, tree.bin.Tidemark, append(args, "--dir", tree.Dir(s), "--site", string(s))...)
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("tidemark %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// Connect connects to a site's bus as its operator.
func (tree *Tree) Connect(ctx context.Context, s cdp.Site) (*bus.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c, err := awaitContext(ctx, tree.Dir(s))
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bus.Config{Site: s, Name: subjects.Operator, URL: c.Sites[s].URL, Credential: c.Sites[s].Credential})
}

// awaitContext reads the context that `tidemark up` writes when it is up.
func awaitContext(ctx context.Context, dir string) (client.Context, error) {
	for {
		c, err := client.LoadContext(dir)
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
