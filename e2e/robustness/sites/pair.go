package sites

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
)

// Binaries are the programs under test.
type Binaries struct{ Tidemark, NATS string }

// Config says how the sites are made.
type Config struct {
	Dir string
	Bin Binaries
	Job string // its name; unlike all others on this machine, for its window's sake
	// Up runs everything as one process, `tidemark up`, without a link to cut.
	Up bool
	// Capture, when set, changes how the capture process is started.
	Capture func(*proc.Process)
}

// Pair is the source site prod and the target site dr.
type Pair struct {
	cfg Config
	t   testing.TB

	// With Up there is One, else the others.
	One                    *proc.Process
	ProdNATS, DRNATS       *proc.Process
	Capture, Journal, Rest *proc.Process
	// Link joins the sites; ProdBus and DRBus are how the services of a site
	// reach its NATS server.
	Link, ProdBus, DRBus    *bustest.Proxy
	prodAddr, drAddr, leafs string
}

// Start starts the sites; they end with the test, and their logs are shown if
// it failed.
func Start(t testing.TB, cfg Config) *Pair {
	t.Helper()
	p := &Pair{cfg: cfg, t: t}
	for _, a := range []*string{&p.prodAddr, &p.drAddr, &p.leafs} {
		addr, err := proc.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		*a = addr
	}
	if cfg.Up {
		p.up()
	} else {
		p.apart()
	}
	t.Cleanup(p.end)
	for _, x := range p.All() {
		if err := x.Start(); err != nil {
			t.Fatal(err)
		}
		if x == p.DRNATS || x == p.ProdNATS {
			time.Sleep(300 * time.Millisecond)
		}
	}
	return p
}

func (p *Pair) up() {
	path := filepath.Join(p.cfg.Dir, "up.yaml")
	text := fmt.Sprintf("sites:\n  - {name: prod, listen: %q, services: [capture]}\n"+
		"  - {name: dr, listen: %q, leaf: %q, services: [journal, scheduler, rpo-monitor, failover]}\nlinks: [{from: prod, to: dr}]\n", p.prodAddr, p.drAddr, p.leafs)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.One = p.process("up", p.cfg.Bin.Tidemark, "up", "--dir", p.cfg.Dir, "--config", path)
}

func (p *Pair) apart() {
	p.Link = bustest.NewProxy(p.t, p.leafs)
	p.ProdBus, p.DRBus = bustest.NewProxy(p.t, p.prodAddr), bustest.NewProxy(p.t, p.drAddr)
	seed, key := bus.NewLinkKey()
	p.ProdNATS = p.nats(bus.ServerConfig{Site: "prod", Listen: p.prodAddr, Links: []bus.Link{{Peer: "dr", Dial: p.Link.Addr(), Seed: seed}}})
	p.DRNATS = p.nats(bus.ServerConfig{Site: "dr", Listen: p.drAddr, LeafListen: p.leafs, Links: []bus.Link{{Peer: "prod", Key: key}}})
	p.Capture = p.Service("capture", "prod", "capture")
	if p.cfg.Capture != nil {
		p.cfg.Capture(p.Capture)
	}
	p.Journal = p.Service("journal", "dr", "journal")
	p.Rest = p.Service("rest", "dr", "scheduler", "rpo-monitor", "failover")
}

// nats is a stock NATS server for a site.
func (p *Pair) nats(cfg bus.ServerConfig) *proc.Process {
	site := string(cfg.Site)
	path := filepath.Join(p.cfg.Dir, site+".conf")
	cfg.StoreDir, cfg.MaxStore = filepath.Join(p.cfg.Dir, "nats-"+site), 8<<30
	text, err := cfg.Text()
	if err != nil {
		p.t.Fatal(err)
	}
	text += "ping_interval: \"5s\"\nping_max: 2\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.process("nats-"+site, p.cfg.Bin.NATS, "-c", path)
}

// Service is a process of some services at a site. It does not run yet.
func (p *Pair) Service(name, site string, services ...string) *proc.Process {
	url, peer := "nats://"+p.ProdBus.Addr(), "dr"
	if site == "dr" {
		url, peer = "nats://"+p.DRBus.Addr(), "prod"
	}
	args := append([]string{p.cfg.Bin.Tidemark, "serve"}, services...)
	args = append(args, "--nats", url, "--site", site, "--peer", peer, "--dir", p.cfg.Dir, "--connect-timeout", "60s")
	return p.process(name, args...)
}

func (p *Pair) process(name string, args ...string) *proc.Process {
	return &proc.Process{Name: name, Args: args, Log: filepath.Join(p.cfg.Dir, name+".log")}
}

// All are the processes, in the order of their start.
func (p *Pair) All() []*proc.Process {
	if p.One != nil {
		return []*proc.Process{p.One}
	}
	return []*proc.Process{p.DRNATS, p.ProdNATS, p.Journal, p.Rest, p.Capture}
}

// ProdURL is the NATS server of the source site.
func (p *Pair) ProdURL() string { return "nats://" + p.prodAddr }

// Window is where capture keeps the job's frames; empty while it does not.
func (p *Pair) Window() string {
	if found := proc.Windows(p.cfg.Job); len(found) > 0 {
		return found[0]
	}
	return ""
}

func (p *Pair) end() {
	proc.Kill(p.All()...)
	_ = proc.ForgetWindows(p.cfg.Job)
	for _, x := range p.All() {
		// One that broke by itself may have been started again since.
		for _, word := range []string{"DATA RACE", "panic: ", "fatal error: "} {
			if log := x.Tail(64 << 20); strings.Contains(log, word) {
				at := strings.Index(log, word)
				p.t.Errorf("%s: %s", x.Name, log[at:min(len(log), at+3000)])
			}
		}
	}
	if !p.t.Failed() {
		return
	}
	for _, x := range p.All() {
		p.t.Logf("--- the end of the log of %s\n%s", x.Name, x.Tail(1500))
	}
}

// Tidemark runs the command line against the target site, as an operator does.
func (p *Pair) Tidemark(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	where := []string{"--dir", p.cfg.Dir}
	if p.One == nil {
		where = []string{"--nats", "nats://" + p.drAddr, "--site", "dr"}
	}
	c := exec.CommandContext(ctx, p.cfg.Bin.Tidemark, append(args, where...)...)
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("tidemark %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// JSON runs a command with -o json and reads what it says.
func (p *Pair) JSON(ctx context.Context, v any, args ...string) error {
	out, err := p.Tidemark(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), v)
}

// Connect connects to a site's bus as an operator.
func (p *Pair) Connect(ctx context.Context, site cdp.Site) (*bus.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cfg := bus.Config{Site: site, Name: subjects.Operator, URL: "nats://" + p.drAddr}
	if site == "prod" {
		cfg.URL = p.ProdURL()
	}
	if p.One != nil {
		c, err := awaitContext(ctx, p.cfg.Dir)
		if err != nil {
			return nil, err
		}
		cfg.Credential = c.Sites[site].Credential
	}
	return bus.Connect(ctx, cfg)
}
