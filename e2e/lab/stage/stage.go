// Package stage sets two sites up on this machine, each of processes of its own
// that can be killed and started again: a simulated vCenter with real guests, and
// Tidemark. The source site is prod, with the VM db01; the target is dr.
//
//	prod-vcenter   lab vcenter: vCenter, hosts and guests of prod
//	prod-tidemark  tidemark up --only source: NATS and the vcenter service
//	prod-capture   tidemark serve capture
//	dr-vcenter     lab vcenter
//	dr-tidemark    tidemark up --only target: NATS and everything else
//
// All of it lives below one directory, and dies with the process that started it.
package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tidemark.dev/e2e/proc"
)

// Names that the two sites have. A site's cluster, hosts and datastores begin
// with the site's name.
const (
	Prod = "prod"
	DR   = "dr"
	VM   = "db01" // the guest of prod
)

// Config says how the sites are made.
type Config struct {
	// Dir holds everything. It must exist and be short, for sockets are in it.
	Dir string
	// Tidemark and Lab are the programs.
	Tidemark, Lab string
	// Job is the name of the job that protects the VM: unlike those of other
	// stages on this machine, for capture's window is named after it. Default shop.
	Job string
	// Boot is what guests do when they are powered on: run, check or resume. Default
	// resume.
	Boot string
	// Plain are the names of more VMs of prod, without a database; the job protects them, too.
	Plain []string
	// Ports fixes where everybody listens; nil chooses free ones.
	Ports *Ports
}

// Ports are host:port of the listeners.
type Ports struct{ ProdVCenter, DRVCenter, ProdNATS, DRNATS, Leaf string }

// Stage is two running sites. Its processes are there to be killed.
type Stage struct {
	cfg   Config
	Ports Ports

	ProdVCenter, ProdTidemark, ProdCapture *proc.Process
	DRVCenter, DRTidemark                  *proc.Process
}

// New describes the sites; nothing runs yet.
func New(cfg Config) (*Stage, error) {
	cfg.Boot, cfg.Job = cmp.Or(cfg.Boot, "resume"), cmp.Or(cfg.Job, "shop")
	s := &Stage{cfg: cfg}
	if cfg.Ports != nil {
		s.Ports = *cfg.Ports
	} else {
		for _, a := range []*string{&s.Ports.ProdVCenter, &s.Ports.DRVCenter, &s.Ports.ProdNATS, &s.Ports.DRNATS, &s.Ports.Leaf} {
			addr, err := proc.FreeAddr()
			if err != nil {
				return nil, err
			}
			*a = addr
		}
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "log"), 0o700); err != nil {
		return nil, err
	}
	for _, site := range []string{Prod, DR} {
		if err := s.login(site); err != nil {
			return nil, err
		}
	}
	up := s.config()
	s.ProdVCenter = s.vcenter(Prod, s.Ports.ProdVCenter, cfg.Boot)
	s.DRVCenter = s.vcenter(DR, s.Ports.DRVCenter, cfg.Boot)
	s.ProdTidemark = s.process("prod-tidemark", cfg.Tidemark, "up", "--only", Prod, "--dir", s.State(), "--allow", cfg.Dir, "--config", up)
	s.DRTidemark = s.process("dr-tidemark", cfg.Tidemark, "up", "--only", DR, "--dir", s.State(), "--allow", cfg.Dir, "--config", up)
	s.ProdCapture = s.process("prod-capture", cfg.Tidemark, "serve", "capture", "--dir", s.State(), "--allow", cfg.Dir, "--site", Prod, "--peer", DR,
		"--credentials", filepath.Join(s.State(), Prod, "credentials.json"), "--connect-timeout", "60s")
	return s, nil
}

// login puts what a site's vCenter says of itself where the site looks for its login.
func (s *Stage) login(site string) error {
	at := filepath.Join(s.State(), site, "vcenters", "lab.yaml")
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return err
	}
	err := os.Symlink(filepath.Join(s.Dir(site), "credentials.yaml"), at)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (s *Stage) process(name string, args ...string) *proc.Process {
	return &proc.Process{Name: name, Args: args, Log: filepath.Join(s.cfg.Dir, "log", name+".log")}
}

func (s *Stage) vcenter(site, listen, boot string) *proc.Process {
	args := []string{s.cfg.Lab, "vcenter", "--name", site, "--dir", s.Dir(site), "--listen", listen, "--boot", boot,
		"--tidemark", fmt.Sprintf("%s --dir %s --site %s", s.cfg.Tidemark, s.State(), site)}
	if site == Prod {
		args = append(args, "--vm", VM)
		for _, name := range s.cfg.Plain {
			args = append(args, "--vm", name+":plain")
		}
	}
	return s.process(site+"-vcenter", args...)
}

// Job is the job that protects the VMs, Group the protection group that it makes of the VM,
// and GroupOf that of any.
func (s *Stage) Job() string              { return s.cfg.Job }
func (s *Stage) Group() string            { return s.GroupOf(VM) }
func (s *Stage) GroupOf(vm string) string { return s.cfg.Job + "-" + vm }

// Dir is the directory of a site's vCenter.
func (s *Stage) Dir(site string) string { return filepath.Join(s.cfg.Dir, site) }

// State is Tidemark's directory, of both sites.
func (s *Stage) State() string { return filepath.Join(s.cfg.Dir, "t") }

// SiteFile describes a site to `tidemark apply`.
func (s *Stage) SiteFile(site string) string { return filepath.Join(s.Dir(site), "site.yaml") }

// Serial is the console of a VM's newest boot.
func (s *Stage) Serial(site, vm string) string {
	return filepath.Join(s.Dir(site), "vms", vm, "serial.log")
}

// All are the processes, in the order of their start.
func (s *Stage) All() []*proc.Process {
	return []*proc.Process{s.DRVCenter, s.ProdVCenter, s.DRTidemark, s.ProdTidemark, s.ProdCapture}
}

// config is the file of tidemark up.
func (s *Stage) config() string { return filepath.Join(s.cfg.Dir, "up.yaml") }

// configure writes the file. The sites are processes of their own, so dr is given
// the public key with which prod opens the link.
func (s *Stage) configure(ctx context.Context) error {
	sites := fmt.Sprintf("sites:\n  - {name: %s, listen: %q, services: [journal, scheduler, rpo-monitor, failover, orchestrator, vcenter]}\n"+
		"  - {name: %s, listen: %q, leaf: %q}\n",
		Prod, s.Ports.ProdNATS, DR, s.Ports.DRNATS, s.Ports.Leaf)
	draft := s.config() + ".draft"
	if err := os.WriteFile(draft, []byte(sites+fmt.Sprintf("links: [{from: %s, to: %s}]\n", Prod, DR)), 0o600); err != nil {
		return err
	}
	links, err := exec.CommandContext(ctx, s.cfg.Tidemark, "site", "keys", Prod, "--config", draft, "--dir", s.State()).Output()
	if err != nil {
		return fmt.Errorf("make the link's key: %w", err)
	}
	return os.WriteFile(s.config(), append([]byte(sites), links...), 0o600)
}

// Start starts both sites, and returns when the vCenters serve and Tidemark
// answers. Whatever happens, Stop ends them.
func (s *Stage) Start(ctx context.Context) error {
	if err := s.configure(ctx); err != nil {
		return err
	}
	for _, p := range []*proc.Process{s.DRVCenter, s.ProdVCenter, s.DRTidemark, s.ProdTidemark} {
		if err := p.Start(); err != nil {
			return err
		}
	}
	err := until(ctx, s.DRVCenter, func() error { _, err := os.Stat(s.SiteFile(DR)); return err })
	if err == nil {
		err = until(ctx, s.DRTidemark, func() error { _, err := s.Tidemark(ctx, "status"); return err })
	}
	if err != nil {
		return err
	}
	return s.prodAnswers(ctx)
}

// prodAnswers waits for prod's vCenter and its Tidemark, and starts capture, which looks up
// in Tidemark's directory where prod's bus is.
func (s *Stage) prodAnswers(ctx context.Context) error {
	err := until(ctx, s.ProdVCenter, func() error { _, err := os.Stat(s.SiteFile(Prod)); return err })
	if err == nil {
		err = until(ctx, s.ProdTidemark, func() error { _, err := s.Tidemark(ctx, "site", "list", "--site", Prod); return err })
	}
	if err != nil {
		return err
	}
	return s.ProdCapture.Start()
}

// until asks ok until it is content; it gives up when p ends, or ctx.
func until(ctx context.Context, p *proc.Process, ok func() error) error {
	for {
		err := ok()
		if err == nil {
			return nil
		}
		if ended := p.Running(); ended != nil {
			return ended
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w; its output ends:\n%s", p.Name, ctx.Err(), err, p.Tail(2000))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// LoseProd is the loss of the source site at once: guests, hosts, vCenter, NATS,
// vcenter service and capture, with kill -9.
func (s *Stage) LoseProd() { proc.Kill(s.ProdVCenter, s.ProdTidemark, s.ProdCapture) }

// ReturnProd brings the source site back after LoseProd: all that was on its disks. Its VMs
// are off, as after a power cut.
func (s *Stage) ReturnProd(ctx context.Context) error {
	if err := os.Remove(s.SiteFile(Prod)); err != nil { // it says that the vCenter serves
		return err
	}
	s.ProdVCenter.Args = append(s.ProdVCenter.Args, "--again")
	for _, p := range []*proc.Process{s.ProdVCenter, s.ProdTidemark} {
		if err := p.Start(); err != nil {
			return err
		}
	}
	return s.prodAnswers(ctx)
}

// Stop ends everything, Tidemark first, and removes what capture keeps in memory.
func (s *Stage) Stop() error {
	err := errors.Join(proc.Stop(20*time.Second, s.ProdCapture), proc.Stop(20*time.Second, s.ProdTidemark, s.DRTidemark),
		proc.Stop(20*time.Second, s.ProdVCenter, s.DRVCenter))
	return errors.Join(err, proc.ForgetWindows(s.Job()+"-*")) // the way home is a group of its own
}
