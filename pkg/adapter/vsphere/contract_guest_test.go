package vsphere_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/guestnet"
	"tidemark.dev/pkg/core/vmpolicy"
)

// contractGuest runs in the guest that the environment names, at a real vCenter; at the
// simulator, in one that it makes. It leaves nothing in the guest.
func contractGuest(e *env) {
	get := func(name string) string { return os.Getenv("TIDEMARK_VCENTER_GUEST" + name) }
	name, user, password, windows := get(""), get("_USER"), vcsim.GuestPassword, get("_WINDOWS") != ""
	if e.sim != nil {
		name, user, windows = "guest", "root", false
		_, err := e.sim.AddVM(vcsim.VMSpec{Name: name, On: true})
		e.must(err)
		e.must(e.sim.Tools(name, true))
	} else {
		if name == "" {
			e.Fatal("no guest is named: set TIDEMARK_VCENTER_GUEST, _GUEST_USER and _GUEST_PASSWORD_FILE; see the package's comment")
		}
		raw, err := os.ReadFile(get("_PASSWORD_FILE"))
		e.must(err)
		password = strings.TrimSpace(string(raw))
	}
	inv, err := e.c.Inventory(e.ctx)
	e.must(err)
	v, why := inv.FindVM(name)
	if why != "" {
		e.Fatal(why)
	}
	s := inventory.GuestScript{ID: e.prefix, User: user, Password: password, Windows: windows, Env: []string{"A=it's 100% $HOME"},
		Text: "echo \"got $A\"; exit 3\n"}
	if windows {
		s.Text = "Write-Output \"got $env:A\"\r\nexit 3\r\n"
	}
	e.Cleanup(func() {
		if err := e.c.ForgetGuestRun(context.WithoutCancel(e.ctx), v.Ref, s); err != nil {
			e.Errorf("clean up: %v", err)
		}
	})
	for range 2 { // the second time it is not run again
		got, err := e.c.RunInGuest(e.ctx, v.Ref, s)
		e.must(err)
		if got.Exit != 3 || strings.TrimSpace(got.Output) != "got it's 100% $HOME" {
			e.Fatalf("ended with %+v", got)
		}
	}
	e.must(e.c.ForgetGuestRun(e.ctx, v.Ref, s))
	wrong := s
	wrong.ID, wrong.Password = s.ID+"-wrong", "not "+password
	_, err = e.c.RunInGuest(e.ctx, v.Ref, wrong)
	e.is(err, cdp.Invalid, "refuses this user or password")
	contractAddresses(e, v, s)
}

// contractAddresses gives the guest the addresses that it has, with the script of a
// failover: it ends well, and the guest has them still.
func contractAddresses(e *env, v inventory.VM, s inventory.GuestScript) {
	if e.sim != nil { // its guest has no network of its own: core/guestnet's tests are for that
		return
	}
	v, err := e.c.VM(e.ctx, v.UUID)
	e.must(err)
	rules := []inventory.ReIP{}
	for i, n := range v.Hardware.NICs {
		for _, g := range v.Guest.NICs {
			if !g.Is(n) {
				continue
			}
			for _, ip := range g.IPs {
				if p, err := netip.ParsePrefix(ip); err == nil && p.Addr().Is4() && !slices.ContainsFunc(rules, func(r inventory.ReIP) bool { return r.NIC == i }) {
					rules = append(rules, inventory.ReIP{VM: v.Name, NIC: i, IP: ip})
				}
			}
		}
	}
	id, _ := vmpolicy.Identify(v, rules, "contract")
	if id == nil {
		e.Fatalf("VMware Tools report no IPv4 address of the guest: %+v", v.Guest)
	}
	var macs []string
	for _, n := range v.Hardware.NICs {
		macs = append(macs, n.MAC)
	}
	s.ID, s.Text, s.Env = s.ID+"-addresses", guestnet.Script(*id, macs), nil
	got, err := e.c.RunInGuest(e.ctx, v.Ref, s)
	e.must(err)
	e.must(e.c.ForgetGuestRun(e.ctx, v.Ref, s))
	if got.Exit != 0 {
		e.Fatalf("the guest says: %s", got.Output)
	}
	want := v.Guest.NICs[0].IPs
	for end := time.Now().Add(2 * time.Minute); ; {
		now, err := e.c.VM(e.ctx, v.UUID)
		e.must(err)
		if len(now.Guest.NICs) > 0 && slices.Contains(now.Guest.NICs[0].IPs, want[0]) {
			return
		}
		if time.Now().After(end) {
			e.Fatalf("it had the addresses %v, and has %+v", want, now.Guest.NICs)
		}
		time.Sleep(time.Second)
	}
}

// guestRig is a VM whose guest runs, and the directory that is its root.
func guestRig(t *testing.T, cfg vcsim.Config) (r *rig, vm inventory.Ref, root string) {
	r = newRig(t, "", cfg)
	vm = r.make(r.spec("guest"))
	r.must(r.c.PowerOn(r.ctx, vm))
	name := r.name("guest")
	r.must(r.sim.Tools(name, true))
	root, err := r.sim.GuestDir(name)
	r.must(err)
	return r, vm, root
}

func script(id, text string, env ...string) inventory.GuestScript {
	return inventory.GuestScript{ID: id, User: "root", Password: vcsim.GuestPassword, Text: text, Env: env}
}

// left are the directories of runs in a guest.
func left(t *testing.T, root string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(root, "var/tmp/tidemark-*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAScriptRunsOnceInAGuest(t *testing.T) {
	r, vm, root := guestRig(t, vcsim.Config{})
	s := script("run-1", "echo \"got $A\"; echo again >>$TIDEMARK_ROOT/count; exit 3\n", "A=it's $HOME")
	for range 2 {
		got, err := r.c.RunInGuest(r.ctx, vm, s)
		r.must(err)
		if got.Exit != 3 || got.Output != "got it's $HOME\n" {
			t.Fatalf("ended with %+v", got)
		}
	}
	if b, err := os.ReadFile(filepath.Join(root, "count")); err != nil || string(b) != "again\n" {
		t.Fatalf("it ran %d times: %v", strings.Count(string(b), "again"), err)
	}
	dirs := left(t, root)
	if len(dirs) != 1 {
		t.Fatalf("there are %v", dirs)
	}
	if st, err := os.Stat(dirs[0]); err != nil || st.Mode().Perm() != 0o700 {
		t.Fatalf("others may read it: %v %v", st.Mode(), err)
	}
	r.must(r.c.ForgetGuestRun(r.ctx, vm, s))
	r.must(r.c.ForgetGuestRun(r.ctx, vm, s))
	if dirs := left(t, root); len(dirs) != 0 {
		t.Fatalf("%v is left in the guest", dirs)
	}
}

func TestAScriptThatNobodyWaitedForIsFound(t *testing.T) {
	r, vm, root := guestRig(t, vcsim.Config{})
	s := script("run-1", "echo x >>$TIDEMARK_ROOT/began; while ! test -e $TIDEMARK_ROOT/go; do sleep 0.05; done; echo done\n")
	ctx, cancel := context.WithCancel(r.ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := r.c.RunInGuest(ctx, vm, s)
		ended <- err
	}()
	for {
		if _, err := os.Stat(filepath.Join(root, "began")); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	r.is(<-ended, cdp.Transient)
	r.must(os.WriteFile(filepath.Join(root, "go"), nil, 0o600))
	got, err := r.c.RunInGuest(r.ctx, vm, s)
	r.must(err)
	if b, err := os.ReadFile(filepath.Join(root, "began")); err != nil || string(b) != "x\n" || got.Output != "done\n" {
		t.Fatalf("it ran as %q and ended with %+v: %v", b, got, err)
	}
	// A restarted guest has the directory, and no process.
	for _, dir := range left(t, root) {
		r.must(os.Remove(filepath.Join(dir, "exit")))
	}
	_, err = r.c.RunInGuest(r.ctx, vm, s)
	r.is(err, cdp.Conflict, "killed, or the guest was restarted")
}

func TestAGuestThatTakesNoScripts(t *testing.T) {
	r, vm, _ := guestRig(t, vcsim.Config{})
	s := script("run-1", "true\n")
	wrong := s
	wrong.Password = "guess"
	_, err := r.c.RunInGuest(r.ctx, vm, wrong)
	r.is(err, cdp.Invalid, "refuses this user or password")
	r.sim.Deny("VirtualMachine.GuestOperations.Execute")
	_, err = r.c.RunInGuest(r.ctx, vm, s)
	r.is(err, cdp.Conflict, "VirtualMachine.GuestOperations.Execute")
	r.sim.Allow()
	r.must(r.sim.Tools(r.name("guest"), false))
	_, err = r.c.RunInGuest(r.ctx, vm, s)
	r.is(err, cdp.Transient, "VMware Tools")
	r.must(r.c.PowerOff(r.ctx, vm))
	_, err = r.c.RunInGuest(r.ctx, vm, s)
	r.is(err, cdp.Conflict, "powered off")
}

func TestAWindowsGuestRunsPowerShell(t *testing.T) {
	ran := make(chan vcsim.GuestProgram, 5)
	r, vm, root := guestRig(t, vcsim.Config{OnProgram: func(p vcsim.GuestProgram) {
		ran <- p
		dirs, _ := filepath.Glob(filepath.Join(p.Dir, "Windows/Temp/tidemark-*"))
		_ = os.Mkdir(filepath.Join(dirs[0], "began"), 0o700)
		_ = os.WriteFile(filepath.Join(dirs[0], "output"), []byte("set\r\n"), 0o600)
		_ = os.WriteFile(filepath.Join(dirs[0], "exit"), []byte("0\r\n"), 0o600)
	}})
	s := script("run-1", "Set-Something\r\n", "A=100%")
	s.Windows = true
	got, err := r.c.RunInGuest(r.ctx, vm, s)
	r.must(err)
	if p := <-ran; got.Exit != 0 || got.Output != "set\r\n" || len(ran) != 0 || p.Path != `C:\Windows\System32\cmd.exe` {
		t.Fatalf("ran %+v and %d more, and ended with %+v", p, len(ran), got)
	}
	dirs, _ := filepath.Glob(filepath.Join(root, "Windows/Temp/tidemark-*"))
	starter, err := os.ReadFile(filepath.Join(dirs[0], "run.cmd"))
	r.must(err)
	lines := strings.Split(string(starter), "\r\n")
	if !slices.Contains(lines, `set "A=100%%"`) || !slices.ContainsFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "powershell.exe ") && strings.Contains(l, "-File script.ps1")
	}) {
		t.Fatalf("the starter is\n%s", starter)
	}
}
