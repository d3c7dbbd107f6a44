package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/node"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// desk is a command line on a real bus of the site dr, and fake vcenter services
// that answer on it.
type desk struct {
	t   *testing.T
	url string
	// conn is the operator's, to look at what was kept.
	conn *bus.Conn
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	srv, err := bus.StartServer(t.Context(), bus.ServerConfig{Site: "dr", StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	url := srv.ClientURL()
	set := connectAs(t, url, "dr", subjects.Setup)
	if err := bus.EnsureSite(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	if err := bus.EnsurePeer(t.Context(), set, "prod"); err != nil {
		t.Fatal(err)
	}
	links, err := bus.OpenBucket[api.SiteLinks](t.Context(), set, "dr", subjects.BucketState, subjects.KeyLinks)
	if err == nil {
		_, err = links.Put(t.Context(), "dr", api.SiteLinks{Site: "dr", Peers: []cdp.Site{"prod"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, url: url, conn: connectAs(t, url, "dr", subjects.Operator)}
	d.owners()
	return d
}

// owners starts those that write specs: a real scheduler, and the owner of sites,
// without the rest of a vcenter service.
func (d *desk) owners() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	d.t.Cleanup(func() { cancel(); wg.Wait() })
	ready := make(chan struct{})
	cfg := node.ServeConfig{Site: "dr", Peers: []cdp.Site{"prod"}, Dir: d.t.TempDir(), Bus: client.SiteRef{URL: d.url}, Services: []string{subjects.Scheduler}, SetUpTime: time.Minute}
	wg.Go(func() {
		if err := node.Serve(ctx, cfg, slog.New(slog.DiscardHandler), func() { close(ready) }); err != nil {
			d.t.Error(err)
		}
	})
	conn := connectAs(d.t, d.url, "dr", subjects.VCenter)
	wg.Go(func() { _ = node.ServeSites(ctx, conn, "dr") })
	<-ready
	for site, service := range map[cdp.Site]string{"prod": subjects.Capture, "dr": subjects.Journal} {
		conn := connectAs(d.t, d.url, site, service)
		wg.Go(func() {
			_ = conn.Serve(ctx, service, map[string]api.Endpoint{api.CaptureDisks: api.Answer(lookAtDisks)})
		})
	}
}

// orchestrator starts a real orchestrator.
func (d *desk) orchestrator() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	d.t.Cleanup(func() { cancel(); wg.Wait() })
	cfg := node.ServeConfig{Site: "dr", Peers: []cdp.Site{"prod"}, Dir: d.t.TempDir(), Bus: client.SiteRef{URL: d.url}, Services: []string{subjects.Orchestrator}, SetUpTime: time.Minute}
	wg.Go(func() {
		if err := node.Serve(ctx, cfg, slog.New(slog.DiscardHandler), func() {}); err != nil {
			d.t.Error(err)
		}
	})
}

// lookAtDisks answers for capture and journal: everywhere is a new disk of 1 MiB.
func lookAtDisks(_ context.Context, r api.DisksRequest) (any, error) {
	var out api.DisksReply
	for _, p := range slices.Concat(r.Paths, r.Known, r.Listen) {
		out.Disks = append(out.Disks, api.DiskFacts{Path: p, Kind: api.PathFile, ID: p, Size: 1 << 20})
	}
	return out, nil
}

func connectAs(t *testing.T, url string, site cdp.Site, service string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(t.Context(), bus.Config{Site: site, Name: service, URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// do runs a command, which must end with the code.
func (d *desk) do(code int, args ...string) (out, errs string) {
	d.t.Helper()
	return do(d.t, code, "", append(args, "--nats", d.url)...)
}

// apply applies a text.
func (d *desk) apply(code int, text string, more ...string) (out, errs string) {
	d.t.Helper()
	return do(d.t, code, text, append([]string{"apply", "-f", "-", "--nats", d.url}, more...)...)
}

// put stores the job of a VM, as the scheduler would for the vcenter service.
func (d *desk) put(of string, names ...string) {
	d.t.Helper()
	b, err := bus.OpenBucket[spec.ReplicationJob](d.t.Context(), d.conn, "dr", subjects.BucketSpec, subjects.KeyJob)
	for _, n := range names {
		if err == nil {
			_, err = b.Put(d.t.Context(), n, spec.ReplicationJob{Name: n, Of: of, RPO: spec.Duration(time.Minute),
				Source: spec.Source{Site: "prod", Capture: cdp.CBT, VM: "u-" + n, Disks: []spec.SourceDisk{{Name: "scsi0-0", Path: "/dev/x", Key: 2000}}},
				Target: spec.Target{Site: "dr", VM: n + "-replica", Disks: []spec.TargetDisk{{Name: "scsi0-0", Path: "/dev/y"}}}})
		}
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// fake is a vcenter service, or another one, that gives set answers and records what
// it was asked.
type fake struct {
	mu      sync.Mutex
	answers map[string]func(req []byte) (any, error)
	asked   []string // endpoint and request
}

// says makes an answer that is always the same.
func says(v any) func([]byte) (any, error) { return func([]byte) (any, error) { return v, nil } }

func fails(err error) func([]byte) (any, error) {
	return func([]byte) (any, error) { return nil, err }
}

// serve lets a fake service answer at a site.
func (d *desk) serve(site cdp.Site, service string, answers map[string]func([]byte) (any, error)) *fake {
	d.t.Helper()
	f := &fake{answers: answers}
	conn := connectAs(d.t, d.url, site, service)
	endpoints := map[string]api.Endpoint{}
	for name := range answers {
		endpoints[name] = func(_ context.Context, req []byte) (any, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.asked = append(f.asked, name+" "+string(req))
			return f.answers[name](req)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- conn.Serve(ctx, service, endpoints) }()
	d.t.Cleanup(func() { cancel(); <-done })
	// It answers once its subscriptions are known; until then nobody does.
	for name := range answers {
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			err := d.conn.Request(d.t.Context(), site, service, name, nil, nil)
			if err == nil || !strings.Contains(err.Error(), "nobody answers") {
				break
			}
			if time.Now().After(end) {
				d.t.Fatal(err)
			}
		}
	}
	f.mu.Lock()
	f.asked = nil
	f.mu.Unlock()
	return f
}

// saw gives what was asked since the last time.
func (f *fake) saw() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := strings.Join(f.asked, "\n")
	f.asked = nil
	return out
}

// set changes an answer.
func (f *fake) set(endpoint string, fn func([]byte) (any, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[endpoint] = fn
}

// working answers as something that takes long: so many times under way, each
// with a word, and then done. The question before a test counts for nothing.
func working(steps ...api.Progress) func([]byte) (any, error) {
	n := -1
	return func(req []byte) (any, error) {
		if len(bytes.TrimSpace(req)) == 0 {
			return api.Progress{}, nil
		}
		n = min(n+1, len(steps)-1)
		return steps[n], nil
	}
}

func wants(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
}

func lacks(t *testing.T, text string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(text, w) {
			t.Errorf("%q is in:\n%s", w, text)
		}
	}
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return v
}

const twoSites = `apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: prod}
spec: {kind: vsphere, vsphere: {url: "https://vc.prod", credentials: vc, transporter: tm-prod}}
---
apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: dr}
spec: {kind: vsphere, vsphere: {url: "https://vc.dr", credentials: vc, transporter: tm-dr}}
`

func aboutVC() inventory.About {
	return inventory.About{Name: "VMware vCenter Server", Version: "8.0.3"}
}
