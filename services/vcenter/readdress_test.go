package vcenter_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// logins has one login at guests.
type logins struct{}

func (logins) Login(name string) (user, password string, err error) {
	if name != "linux" {
		return "", "", cdp.Errorf(cdp.Invalid, "read guest login", name, "there is none")
	}
	return "root", vcsim.GuestPassword, nil
}

// networkManager gives a guest a network card, and a NetworkManager that notes how it is
// called.
func networkManager(w *world, name string) (called func() string) {
	root, err := w.b.sim.GuestDir(name)
	w.must(err)
	v, _ := w.vm(w.b, name)
	for file, text := range map[string]string{
		"sys/class/net/ens192/address": v.Hardware.NICs[0].MAC + "\n",
		"sys/class/net/ens192/device":  "",
		"bin/nmcli": `#!/bin/sh
echo "$*" >>$TIDEMARK_ROOT/called
case "$*" in *RUNNING*) echo running;; *STATE*) echo "100 (connected)";; *CONNECTION*) echo eth;; esac
`,
	} {
		w.must(os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755))
		w.must(os.WriteFile(filepath.Join(root, file), []byte(text), 0o755))
	}
	return func() string {
		b, err := os.ReadFile(filepath.Join(root, "called"))
		w.must(err)
		return string(b)
	}
}

// With a guest login nothing of the guest changes but its addresses: the vCenter's
// customization, which is sysprep on Windows, is not used. A guest that does not answer in
// time is started all the same, and gets its addresses when it is checked again.
func TestAddressesAreChangedInsideTheGuest(t *testing.T) {
	w := failover(t, func(j *spec.VMJob) {
		j.Target.ReIP = []inventory.ReIP{{From: "10.0.0.0/24", To: "192.0.2.0/24", Gateway: "192.0.2.1"}}
		j.Target.GuestLogin = "of-the-others"
		// That of a VM that is not there any more keeps none from joining.
		j.Target.GuestLogins = []inventory.VMLogin{{VM: "web02", Login: "windows"}, {VM: "web01", Login: "linux"}}
		j.Checks = inventory.Checks{Timeout: 300 * time.Millisecond}
	})
	w.step(api.VMAttach, false)
	boot := w.step(api.VMBoot, false)
	if boot.VM.Power != "on" || !strings.Contains(boot.Text, "is powered on, but its addresses could not be set in the guest") || !strings.Contains(boot.Text, "192.0.2.5") {
		t.Fatalf("%+v", boot)
	}
	called := networkManager(w, "web01-replica")
	addresses := func() (x api.VMCheckResult) {
		for _, c := range w.step(api.VMCheck, false).VM.Checks {
			if c.Name == "addresses" {
				x = c
			}
		}
		return x
	}
	if c := addresses(); c.OK || !strings.Contains(c.Text, "VMware Tools do not run") {
		t.Errorf("a guest that does not answer: %+v", c)
	}
	w.must(w.b.sim.Tools("web01-replica", true, "10.0.0.5"))
	if c := addresses(); c.OK || !strings.Contains(c.Text, "VMware Tools report 10.0.0.5") {
		t.Errorf("a guest that has not changed yet: %+v", c)
	}
	w.must(w.b.sim.Tools("web01-replica", true, "192.0.2.5"))
	w.until("its check passes", func() bool { return addresses().OK })
	const set = "connection modify eth ipv4.method manual ipv4.addresses 192.0.2.5/24 ipv4.gateway 192.0.2.1"
	if n := strings.Count(called(), set); n != 1 {
		t.Errorf("set %d times:\n%s", n, called())
	}
	root, err := w.b.sim.GuestDir("web01-replica")
	w.must(err)
	if left, _ := filepath.Glob(filepath.Join(root, "var/tmp/*")); len(left) > 0 {
		t.Errorf("%v is left in the guest", left)
	}
	if n := w.b.sim.Calls("CustomizeVM_Task"); n != 0 {
		t.Errorf("the vCenter was asked to customize the guest %d times", n)
	}
	w.step(api.VMStop, false)
	w.step(api.VMReturn, false)
}
