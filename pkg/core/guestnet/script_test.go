package guestnet_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/guestnet"
)

// root is a guest with two network cards, a bond over the first, some files, and fake
// tools that note how they are called. It has no other programs.
func root(t *testing.T, files map[string]string, tools ...string) string {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{
		"sys/class/net/ens192/address": "00:50:56:AA:00:01\n", "sys/class/net/ens192/device": "",
		"sys/class/net/ens224/address": "00:50:56:aa:00:02\n", "sys/class/net/ens224/device": "",
		"sys/class/net/bond0/address": "00:50:56:aa:00:01\n",
	}
	for name, text := range files {
		all[name] = text
	}
	for _, name := range tools {
		name, says, _ := strings.Cut(name, ": ")
		all["bin/"+name] = "#!/bin/sh\necho \"" + name + " $*\" >>" + dir + "/called\n" + says + "\n"
	}
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"basename", "cat", "grep", "head", "ls", "mv", "sed", "tr"} {
		at, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(at, filepath.Join(dir, "bin", name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	return dir
}

// give runs the script in such a guest, and returns what it says and whether it did it.
func give(t *testing.T, dir string, id inventory.Identity) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", guestnet.Script(id, []string{"00:50:56:AA:00:01", "00:50:56:aa:00:02"}))
	cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin"), "TIDEMARK_ROOT=" + dir}
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// two is a card with two IPv4 addresses and one of IPv6, beside one that uses DHCP.
var two = inventory.Identity{Domain: "example.com", DNS: []string{"10.9.0.2"}, NICs: []inventory.NICIdentity{
	{IP: "10.9.0.5", Mask: "255.255.254.0", More: []string{"10.9.0.6/23"}, Gateway: "10.9.0.1", IPv6: []string{"2001:db8:9::5/64"}, GatewayV6: "2001:db8:9::1"}, {},
}}

func TestAddressesAreSetWithWhatTheGuestHas(t *testing.T) {
	netplan := map[string]string{"etc/netplan/50-cloud-init.yaml": "network: {}\n", "etc/cloud/cloud.cfg.d/x": ""}
	ifupdown := map[string]string{"etc/network/interfaces": "auto ens192\niface ens192 inet dhcp\n", "etc/resolv.conf": "nameserver 10.0.0.2\n"}
	for _, c := range []struct {
		name    string
		files   map[string]string
		tools   []string
		written map[string]string
		called  string
	}{
		{"NetworkManager", nil, []string{`nmcli: case "$*" in *RUNNING*) echo running;; *STATE*ens192) echo "100 (connected)";; *CONNECTION*) echo "Wired 1";; esac`}, nil,
			`nmcli connection modify Wired 1 ipv4.method manual ipv4.addresses 10.9.0.5/23,10.9.0.6/23 ipv4.gateway 10.9.0.1 ipv4.dns 10.9.0.2
nmcli connection modify Wired 1 ipv6.method manual ipv6.addresses 2001:db8:9::5/64 ipv6.gateway 2001:db8:9::1 ipv6.dns 
nmcli connection up Wired 1
`},
		{"netplan", netplan, []string{"netplan"}, map[string]string{
			"etc/netplan/50-cloud-init.yaml.before-tidemark": "network: {}\n",
			"etc/cloud/cloud.cfg.d/99-tidemark.cfg":          "network: {config: disabled}\n",
			"etc/netplan/99-tidemark.yaml": `network:
  version: 2
  ethernets:
    ens192:
      addresses: ["10.9.0.5/23", "10.9.0.6/23", "2001:db8:9::5/64"]
      nameservers: {search: [example.com], addresses: ["10.9.0.2"]}
      routes: [{to: 0.0.0.0/0, via: 10.9.0.1}, {to: "::/0", via: "2001:db8:9::1"}]
    ens224: {dhcp4: true}
`}, "netplan apply\n"},
		{"ifupdown", ifupdown, []string{"ifup", "ifdown", "ip"}, map[string]string{
			"etc/network/interfaces.before-tidemark": ifupdown["etc/network/interfaces"],
			"etc/resolv.conf":                        "search example.com\nnameserver 10.9.0.2\n",
			"etc/network/interfaces": `auto lo
iface lo inet loopback

auto ens192
iface ens192 inet static
    address 10.9.0.5/23
    gateway 10.9.0.1
    dns-nameservers 10.9.0.2
    dns-search example.com
iface ens192 inet static
    address 10.9.0.6/23

iface ens192 inet6 static
    address 2001:db8:9::5/64
    gateway 2001:db8:9::1

auto ens224
iface ens224 inet dhcp
`}, "ifdown --force ens192\nifdown --force ens224\nip address flush dev ens192\nifup --force ens192\nip address flush dev ens224\nifup --force ens224\n"},
		{"systemd-networkd", map[string]string{"etc/systemd/network/10-old.network": "[Match]\nName=ens*\n"}, []string{"networkctl"}, map[string]string{
			"etc/systemd/network/01-tidemark-ens192.network": "[Match]\nName=ens192\n[Network]\nAddress=10.9.0.5/23\nAddress=10.9.0.6/23\nAddress=2001:db8:9::5/64\nGateway=10.9.0.1\nGateway=2001:db8:9::1\nDNS=10.9.0.2\nDomains=example.com\n",
		}, "networkctl reload\nnetworkctl reconfigure ens192\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := root(t, c.files, c.tools...)
			for range 2 { // again at any time
				if out, ok := give(t, dir, two); !ok {
					t.Fatal(out)
				}
			}
			for name, want := range c.written {
				if got := read(t, dir, name); got != want {
					t.Errorf("%s is\n%s", name, got)
				}
			}
			if got := read(t, dir, "called"); !strings.Contains(got, c.called) {
				t.Errorf("called\n%s", got)
			}
		})
	}
}

// A guest whose network is more than cards is refused, and not changed.
func TestAGuestThatTheScriptDoesNotUnderstandIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		tools []string
		says  string
	}{
		"nothing that keeps them": {nil, nil, "none of NetworkManager"},
		"a bond":                  {map[string]string{"etc/netplan/01.yaml": "network:\n  bonds:\n    bond0: {}\n"}, []string{"netplan"}, "has more than network cards (  bonds:)"},
		"a bridge":                {map[string]string{"etc/network/interfaces": "iface br0 inet dhcp\n  bridge_ports eth0\n"}, []string{"ifup"}, "bridge_ports eth0"},
		"another card":            {map[string]string{"sys/class/net/ens192/address": "00:50:56:aa:00:99\n"}, nil, "there is no network card 00:50:56:aa:00:01"},
		"a tool that fails":       {map[string]string{"etc/systemd/network/x": ""}, []string{"networkctl: exit 1"}, "networkctl failed: networkctl reload"},
	} {
		dir := root(t, c.files, c.tools...)
		if out, ok := give(t, dir, two); ok || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v, %s", name, ok, out)
		}
		for file, text := range c.files {
			if got := read(t, dir, file); got != text {
				t.Errorf("%s: %s is changed: %s", name, file, got)
			}
		}
	}
}

func TestAWindowsGuestGetsPowerShell(t *testing.T) {
	id := two
	id.Windows = true
	got := guestnet.Script(id, []string{"00:50:56:AA:00:01", "00:50:56:aa:00:02"})
	end := "domain 'example.com'\r\nnic '00:50:56:aa:00:01' '10.9.0.5/23,10.9.0.6/23' '10.9.0.1' '2001:db8:9::5/64' '2001:db8:9::1' '10.9.0.2' ''\r\nkeep '00:50:56:aa:00:02'\r\n"
	if !strings.HasSuffix(got, end) || !strings.Contains(got, "New-NetIPAddress") {
		t.Error(got)
	}
}
