package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/failoverrun"
)

// benchFailover: two VMs, whose sparse disks have 10 and 100 GiB and which were
// written the same, run at the other vCenter, at an older point than the replica
// holds. It must not take longer for the larger.
func benchFailover(b *Bench) error {
	f, err := newFailoverBench(b)
	if err != nil {
		return err
	}
	defer f.close()
	sizes := map[string]int64{"small": 10 << 30, "large": 100 << 30}
	took := map[string][]float64{}
	for name, size := range sizes {
		if err := f.protect(name, size); err != nil {
			return fmt.Errorf("protect %s: %w\n%s", name, err, f.up.Tail(4000))
		}
	}
	point := map[string]string{}
	for name := range sizes {
		if point[name], err = f.live(name); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, f.up.Tail(4000))
		}
	}
	err = b.eachRound(func() error {
		for name := range sizes {
			b.calm()
			d, err := f.failover(name, point[name])
			if err != nil {
				return fmt.Errorf("failover of %s: %w\n%s", name, err, f.up.Tail(4000))
			}
			took[name] = append(took[name], d.Seconds())
		}
		return nil
	})
	b.report("failover.10g", took["small"], "s", info, "command to power-on, 10 GiB disk, to an older point")
	b.report("failover.100g", took["large"], "s", info, "the same journal, 100 GiB disk")
	b.report("failover.growth", ratios(took["large"], took["small"]), "x", atMost(1.5), "100 GiB to 10 GiB")
	return err
}

// failoverBench is two simulated vCenters, and the product at both.
type failoverBench struct {
	*Bench
	prod, dr *vcsim.Site
	bin, dir string
	up       *proc.Process
	rng      *rand.Rand
}

func newFailoverBench(b *Bench) (f *failoverBench, err error) {
	f = &failoverBench{Bench: b, bin: filepath.Join(b.dir, "tidemark"), dir: filepath.Join(b.dir, "t"), rng: rand.New(rand.NewPCG(1, 1))}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if out, err := exec.CommandContext(b, "go", "build", "-o", f.bin, "tidemark.dev/services/tidemark").CombinedOutput(); err != nil {
		return f, fmt.Errorf("build: %w: %s", err, out)
	}
	if f.prod, err = f.vcenter("prod"); err != nil {
		return f, err
	}
	if f.dr, err = f.vcenter("dr"); err != nil {
		return f, err
	}
	return f, f.start()
}

func (f *failoverBench) vcenter(name string) (*vcsim.Site, error) {
	s, err := vcsim.Start(vcsim.Config{Name: name, Dir: filepath.Join(f.Bench.dir, name)})
	if err != nil {
		return nil, err
	}
	if _, err := s.AddVM(vcsim.VMSpec{Name: "tm-" + name, Extra: map[string]string{"disk.EnableUUID": "TRUE"}, On: true}); err != nil {
		return s, err
	}
	creds := filepath.Join(f.dir, name, "vcenters", "sim.yaml")
	if err := os.MkdirAll(filepath.Dir(creds), 0o700); err != nil {
		return s, err
	}
	if err := os.WriteFile(creds, fmt.Appendf(nil, "username: %q\npassword: %q\nurl: %q\nthumbprint: %q\n", s.User(), s.Password(), strings.TrimSuffix(s.URL(), "/sdk"), s.Thumbprint()), 0o600); err != nil {
		return s, err
	}
	return s, os.WriteFile(filepath.Join(f.Bench.dir, name+".yaml"), fmt.Appendf(nil, `apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: %s}
spec:
  kind: vsphere
  vsphere: {url: %q, thumbprint: %q, credentials: sim, transporter: tm-%s, devices: %q}
`, name, strings.TrimSuffix(s.URL(), "/sdk"), s.Thumbprint(), name, filepath.Join(s.Config().Devices, "tm-"+name)), 0o600)
}

// start runs both sites and applies them.
func (f *failoverBench) start() error {
	var ports []any
	var taken []net.Listener // until all are different
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		ports = append(ports, l.Addr().String())
		taken = append(taken, l)
	}
	for _, l := range taken {
		l.Close()
	}
	config := f.dir + ".yaml"
	text := fmt.Sprintf("sites:\n  - {name: prod, listen: %q, services: [capture, vcenter]}\n"+
		"  - {name: dr, listen: %q, leaf: %q, services: [journal, scheduler, rpo-monitor, failover, vcenter]}\nlinks: [{from: prod, to: dr}]\n", ports...)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	f.up = &proc.Process{Name: "up", Args: []string{f.bin, "up", "--dir", f.dir, "--allow", f.Bench.dir, "--config", config}, Log: f.dir + ".log"}
	if err := f.up.Start(); err != nil {
		return err
	}
	return until(f, time.Minute, func() (bool, error) {
		_, err := f.tidemark("apply", "-f", filepath.Join(f.Bench.dir, "prod.yaml"), "-f", filepath.Join(f.Bench.dir, "dr.yaml"))
		return err == nil, err
	})
}

func (f *failoverBench) tidemark(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(f, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.bin, append(args, "--dir", f.dir)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("tidemark %s: %w: %s", args[0], err, exit.Stderr)
	}
	return out, err
}

// protect makes a VM and a job on it.
func (f *failoverBench) protect(name string, size int64) error {
	vm, err := f.prod.AddVM(vcsim.VMSpec{Name: name, Disks: []vcsim.DiskSpec{{Size: size}}, NICs: []vcsim.NICSpec{{}}, On: true})
	if err != nil {
		return err
	}
	if err := f.write(vm.Name, vm.Disks[0].Key, 256); err != nil {
		return err
	}
	path := filepath.Join(f.Bench.dir, name+".job")
	if err := os.WriteFile(path, fmt.Appendf(nil, `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: %s}
spec:
  source: {site: prod, capture: cbt, vms: [{name: %s}]}
  target:
    site: dr
    cluster: dr-cluster
    datastore: dr-ds1
    networks: [{from: VM Network, to: DR Network, test: isolated}]
  rpo: 10s
`, name, name), 0o600); err != nil {
		return err
	}
	return until(f, time.Minute, func() (bool, error) { // the source's service may not know its site yet
		if _, err := f.tidemark("apply", "-f", path); err != nil {
			return false, err
		}
		_, err := f.tidemark("job", "run", name, "--no-wait")
		return err == nil, err
	})
}

// write is n writes of 64 KiB within the first GiB.
func (f *failoverBench) write(vm string, key int32, n int) error {
	p := make([]byte, 64<<10)
	for range n {
		for i := range p {
			p[i] = byte(f.rng.Uint32())
		}
		if err := f.prod.GuestWrite(vm, key, f.rng.Int64N(1<<14)<<16, p); err != nil {
			return err
		}
	}
	return nil
}

// live lets the VM write over some cycles, and gives its first point.
func (f *failoverBench) live(name string) (string, error) {
	vm, err := f.prod.VM(name)
	if err != nil {
		return "", err
	}
	points := func() (ps []cdp.Point, err error) {
		out, err := f.tidemark("point", "list", name+"-"+name, "-o", "json")
		if err == nil {
			err = json.Unmarshal(out, &ps)
		}
		return ps, err
	}
	var first string
	for n := 1; n <= 3; n++ {
		if err := until(f, 3*time.Minute, func() (bool, error) {
			ps, err := points()
			if err != nil || len(ps) < n {
				return false, fmt.Errorf("%d points: %w", len(ps), err)
			}
			first = ps[0].ID()
			return true, nil
		}); err != nil {
			return "", err
		}
		if err := f.write(name, vm.Disks[0].Key, 256); err != nil {
			return "", err
		}
	}
	return first, nil
}

// failover runs the VM at the target, takes that back, and gives how long it
// took until it was powered on.
func (f *failoverBench) failover(name, point string) (time.Duration, error) {
	group := name + "-" + name
	if _, err := f.tidemark("failover", group, "--mode", "production", "--to", "vm", "--point", point); err != nil {
		return 0, err
	}
	out, err := f.tidemark("failover", "status", group, "-o", "json")
	if err != nil {
		return 0, err
	}
	var st failoverrun.Run
	if err := json.Unmarshal(out, &st); err != nil {
		return 0, err
	}
	if _, err := f.tidemark("failover", "undo", group, "--yes"); err != nil {
		return 0, err
	}
	return st.UsableAt.Sub(st.StartedAt), nil
}

func (f *failoverBench) close() {
	if f.up != nil {
		_ = proc.Stop(20*time.Second, f.up) // killed if it does not
	}
	for _, s := range []*vcsim.Site{f.prod, f.dr} {
		if s != nil {
			s.Close()
		}
	}
}
