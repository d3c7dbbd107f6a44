package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/pkg/adapter/vcsim"
)

type vcenterFlags struct {
	name, dir, listen, boot, tidemark string
	vms                               names
	off, filter, again                bool
}

// names is a flag that is given once for each name.
type names []string

func (n *names) String() string { return strings.Join(*n, " ") }

func (n *names) Set(name string) error {
	*n = append(*n, name)
	return nil
}

// cmdVCenter runs one vCenter with its guests, until ctx ends.
func cmdVCenter(ctx context.Context, args []string) error {
	var o vcenterFlags
	f := flag.NewFlagSet("lab vcenter", flag.ContinueOnError)
	f.StringVar(&o.name, "name", "prod", "the site's `name`; cluster, hosts and datastores begin with it")
	f.StringVar(&o.dir, "dir", "", "`directory` of everything, short and empty; needed")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8989", "`host:port` of the vCenter")
	f.StringVar(&o.boot, "boot", "run", "what guests do: run writes a ledger, check reports it and powers off, resume reports it and goes on")
	f.StringVar(&o.tidemark, "tidemark", "", "command `line` of tidemark up to its verb, for the I/O filters' daemons")
	f.Var(&o.vms, "vm", "`name` of a VM with a guest to make and power on; NAME:plain has no database")
	f.BoolVar(&o.off, "off", false, "leave those VMs off")
	f.BoolVar(&o.again, "again", false, "go on in the directory of a vCenter that ended: it has its VMs, and they are off")
	f.BoolVar(&o.filter, "filter", true, "install the I/O filter on the hosts")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.dir == "" || f.NArg() > 0 {
		return errors.New("lab vcenter needs --dir, and nothing but flags")
	}
	switch guest.Mode(o.boot) {
	case guest.ModeRun, guest.ModeCheck, guest.ModeResume, guest.ModeIdle:
	default:
		return fmt.Errorf("--boot %s: it is run, check, resume or idle", o.boot)
	}
	return o.serve(ctx)
}

func (o vcenterFlags) serve(ctx context.Context) (err error) {
	if o.again {
		o.dir, err = filepath.Abs(o.dir)
	} else {
		o.dir, err = emptyDir(o.dir)
	}
	if err != nil {
		return err
	}
	h, err := newHypervisor(ctx, o.dir, guest.Mode(o.boot), strings.Fields(o.tidemark), os.Stdout)
	if err != nil {
		return err
	}
	b, err := serveBundle()
	if err != nil {
		return err
	}
	site, err := vcsim.Start(vcsim.Config{Name: o.name, Dir: o.dir, Listen: o.listen,
		OnPower: h.power, OnSnapshot: h.snapshot, OnFilter: h.filter})
	if err != nil {
		return errors.Join(err, b.close())
	}
	h.serves(site)
	// Guests first: a vCenter that closes waits for tasks, which may wait for them.
	defer func() {
		h.close()
		site.Close()
		err = errors.Join(err, b.close())
	}()
	if err := o.furnish(ctx, h, site, b.url); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if err := o.tell(site, b.url); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (o vcenterFlags) transporter() string { return "tm-" + o.name }

// tell writes what others need to use the site, site.yaml last, and prints it.
func (o vcenterFlags) tell(site *vcsim.Site, bundle string) error {
	creds := filepath.Join(o.dir, "credentials.yaml")
	url := strings.TrimSuffix(site.URL(), "/sdk")
	spec := fmt.Sprintf(`apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: %s}
spec:
  kind: vsphere
  vsphere:
    url: %s
    thumbprint: "%s"
    credentials: lab
    transporter: %s
    devices: %s
`, o.name, url, site.Thumbprint(), o.transporter(), filepath.Join(site.Config().Devices, o.transporter()))
	known := filepath.Join(o.dir, "known_hosts")
	host := strings.TrimPrefix(url, "https://")
	env := fmt.Sprintf("export GOVC_URL='%s' GOVC_USERNAME='%s' GOVC_PASSWORD='%s' GOVC_TLS_KNOWN_HOSTS='%s'\n", site.URL(), site.User(), site.Password(), known)
	for _, f := range []struct{ path, text string }{
		{creds, fmt.Sprintf("username: %q\npassword: %q\nurl: %s\nthumbprint: \"%s\"\n", site.User(), site.Password(), url, site.Thumbprint())},
		{known, host + " " + site.Thumbprint() + "\n"},
		{filepath.Join(o.dir, "ca.pem"), string(site.CertPEM())},
		{filepath.Join(o.dir, "govc.env"), env},
		{filepath.Join(o.dir, "bundle.url"), bundle + "\n"},
		{filepath.Join(o.dir, "site.yaml.new"), spec},
	} {
		if err := os.WriteFile(f.path, []byte(f.text), 0o600); err != nil {
			return err
		}
	}
	file := filepath.Join(o.dir, "site.yaml")
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	fmt.Printf("vCenter %s serves.\n", o.name)
	for _, l := range [][2]string{{"url", url}, {"thumbprint", site.Thumbprint()}, {"user", site.User()}, {"password", "in " + creds},
		{"tidemark", "link DIR/" + o.name + "/vcenters/lab.yaml to " + creds + "; tidemark apply -f " + file}, {"govc", ". " + filepath.Join(o.dir, "govc.env") + "; govc ls   (or GOVC_INSECURE=1)"},
		{"I/O filter", bundle}, {"consoles", filepath.Join(o.dir, "vms", "NAME", "serial.log")}} {
		fmt.Printf("  %-10s  %s\n", l[0], l[1])
	}
	return nil
}
