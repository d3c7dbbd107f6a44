package spec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

const goodVMs = `apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: prod}
spec:
  kind: vsphere
  vsphere:
    url: https://vc.example.com/sdk
    thumbprint: 3e:11:5f:0c:9a:77:21:d0:4b:88:12:6f:aa:5d:03:c4:19:e2:7b:50
    credentials: vcenter
---
apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata:
  name: shop
spec:
  source:
    site: prod
    capture: cbt
    quiesce: true
    vms:
    - name: web01
    - uuid: 503E115F-0C9A-7721-D04B-88126FAA5D03
    - tag: tier/gold
      exclude: [old]
    excludeDisks:
    - disk: scsi0:3
  target:
    site: dr
    host: esx11
    datastore: ds1
    disks:
    - {vm: web01, disk: Hard disk 2, datastore: ds2}
    networks:
    - {from: VM Network, to: DR, test: Bubble}
    reIP:
    - {vm: web01, ip: 10.9.0.5/24, gateway: 10.9.0.1}
    - {from: 10.1.0.0/24, to: 10.9.0.0/24}
    seeds:
    - {vm: web01, disk: scsi0:0, file: "[ds1] old/web01.vmdk"}
  checks:
    ports: [22]
`

func TestVMs(t *testing.T) {
	got, err := Parse("f", []byte(goodVMs))
	if err != nil {
		t.Fatal(err)
	}
	want := []Object{
		{Line: 1, Site: &Site{Name: "prod", Kind: "vsphere", VSphere: &VSphere{URL: "https://vc.example.com/sdk", Credentials: "vcenter",
			Thumbprint: "3E:11:5F:0C:9A:77:21:D0:4B:88:12:6F:AA:5D:03:C4:19:E2:7B:50", Devices: "/dev/disk/by-id"}}},
		{Line: 10, VMJob: &VMJob{SourceSite: "prod", TargetSite: "dr", RPO: Duration(time.Minute),
			Journal: Journal{Mode: cdp.Rollback, History: Duration(24 * time.Hour)},
			Job: inventory.Job{Name: "shop",
				Source: inventory.JobSource{Capture: "cbt", Quiesce: true, VMs: []inventory.Selector{{Name: "web01"}, {UUID: "503e115f-0c9a-7721-d04b-88126faa5d03"}, {Tag: "tier/gold", Exclude: []string{"old"}}},
					ExcludeDisks: []inventory.DiskRef{{Disk: "scsi0:3"}}},
				Target: inventory.JobTarget{Host: "esx11", Datastore: "ds1", Suffix: "-replica",
					Disks:    []inventory.DiskPlace{{DiskRef: inventory.DiskRef{VM: "web01", Disk: "Hard disk 2"}, Datastore: "ds2"}},
					Networks: []inventory.NetworkMap{{From: "VM Network", To: "DR", Test: "Bubble"}},
					ReIP:     []inventory.ReIP{{VM: "web01", IP: "10.9.0.5/24", Gateway: "10.9.0.1"}, {From: "10.1.0.0/24", To: "10.9.0.0/24"}},
					Seeds:    []inventory.Seed{{DiskRef: inventory.DiskRef{VM: "web01", Disk: "scsi0:0"}, File: "[ds1] old/web01.vmdk"}}},
				Checks: inventory.Checks{Ports: []int{22}, Timeout: 5 * time.Minute}}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got\n%+v\n%+v\nwant\n%+v\n%+v", got[0].Site.VSphere, got[1].VMJob, want[0].Site.VSphere, want[1].VMJob)
	}
	for _, o := range got {
		out, err := Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("f", out)
		if err != nil {
			t.Fatalf("%s\n%s", err, out)
		}
		again[0].Line = o.Line
		if !reflect.DeepEqual(again[0], o) {
			t.Errorf("%s", out)
		}
		if strings.Contains(string(out), "Nanos") || strings.Contains(string(out), "sourceSite") {
			t.Errorf("not as users write it:\n%s", out)
		}
	}
}

// bad changes the good text, and gives the problems as path, rule and text.
func bad(t *testing.T, from, to string) string {
	t.Helper()
	in := strings.Replace(goodVMs, from, to, 1)
	if in == goodVMs {
		t.Fatalf("%q is not in the text", from)
	}
	_, err := Parse("f", []byte(in))
	if !cdp.Is(err, cdp.Invalid) {
		t.Fatalf("%q: %v", to, err)
	}
	var out []string
	for _, p := range Problems(err) {
		out = append(out, fmt.Sprintf("%d %s (%s) %s", p.Line, p.Path, p.Rule, p.Text))
	}
	return strings.Join(out, "\n")
}

// TestBadSites: one problem each, at its line, in words.
func TestBadSites(t *testing.T) {
	const secret = " must not be in a spec, which many can read: put username and password in the file DIR/SITE/vcenters/NAME.yaml, mode 0600, on the machine of the site's vcenter service, and NAME in credentials"
	for _, x := range []struct{ from, to, want string }{
		{"    url: https://vc.example.com/sdk", "    url: http://vc.example.com", `7 /spec/vsphere/url (url) "http://vc.example.com": must be https, because the password is sent over it`},
		{"    url: https://vc.example.com/sdk", "    url: https://root:pw@vc", `7 /spec/vsphere/url (secret) user and password must not be in the URL: put them in the login file that credentials names`},
		{"    url: https://vc.example.com/sdk", "    url: http://root:pw@vc", `7 /spec/vsphere/url (url) "...@vc": must be https, because the password is sent over it`},
		{"    url: https://vc.example.com/sdk", "    url: vc.example.com", `7 /spec/vsphere/url (url) "vc.example.com" is not a URL: write https://vc.example.com`},
		{"    url: https://vc.example.com/sdk", "    url: https://vc/ui", `7 /spec/vsphere/url (url) "https://vc/ui": write only the host, as https://vc`},
		{"thumbprint: 3e:11", "thumbprint: 3e-11", `8 /spec/vsphere/thumbprint (thumbprint) "3e-11:5f:0c:9a:77:21:d0:4b:88:12:6f:aa:5d:03:c4:19:e2:7b:50" is not a thumbprint: write the 32 bytes of the certificate's SHA-256 (or the 20 of its SHA-1) in hex with colons, as openssl x509 -fingerprint -sha256 prints them`},
		{"    credentials: v", "    ca: /etc/ca.pem\n    credentials: v", `9 /spec/vsphere/ca (either) use either thumbprint or ca, not both`},
		{"    credentials: v", "    credentials: /etc/v", `9 /spec/vsphere/credentials (name) "/etc/vcenter": write the NAME of the file DIR/SITE/vcenters/NAME.yaml on the machine of the site's vcenter service: ` + cdp.NameRule},
		{"    credentials: vcenter", "    transporter: tm", `6 /spec/vsphere (required) credentials is missing`},
		{"    credentials: v", "    password: hunter2\n    credentials: v", `9 /spec/vsphere/password (secret) a password` + secret},
		{"    credentials: v", "    username: root\n    credentials: v", `9 /spec/vsphere/username (secret) a username` + secret},
		{"    credentials: v", "    transporter: ' x'\n    credentials: v", `9 /spec/vsphere/transporter (text) " x": has leading or trailing space, or control characters`},
		{"    credentials: v", "    insecure: true\n    credentials: v", `9 /spec/vsphere (additionalProperties) there is no field insecure`},
		{"kind: vsphere", "kind: block", `6 /spec/vsphere (kind) is for sites of kind vsphere only`},
		{"kind: vsphere", "kind: hyperv", "5 /spec/kind (enum) must be one of block, vsphere\n6 /spec/vsphere (kind) is for sites of kind vsphere only"},
	} {
		if got := bad(t, x.from, x.to); got != x.want {
			t.Errorf("%q\n got %s\nwant %s", x.to, got, x.want)
		}
	}
	in := "apiVersion: tidemark.dev/v1\nkind: Site\nmetadata: {name: a}\nspec: {kind: vsphere}\n"
	if _, err := Parse("f", []byte(in)); err == nil || !strings.Contains(err.Error(), "line 4: /spec: the section vsphere is missing") {
		t.Error(err)
	}
}

// TestBadVMJobs: likewise of jobs on VMs.
func TestBadVMJobs(t *testing.T) {
	for _, x := range []struct{ from, to, want string }{
		// What of disks and VMs goes together.
		{"capture: cbt\n    quiesce: true", "capture: inline", `18 /spec/source/capture (enum) inline is not possible for VMs, whose disks are on a datastore: use tap or cbt, or disks instead of vms`},
		{"capture: cbt", "capture: smoke", `18 /spec/source/capture (enum) must be one of inline, tap, cbt`},
		{"capture: cbt", "capture: tap", `19 /spec/source/quiesce (capture) is for capture cbt only: a tap takes no snapshots`},
		{"    quiesce: true", "    filter: f\n    policy: p", "19 /spec/source/filter (capture) is for capture tap only: cbt needs no I/O filter\n20 /spec/source/policy (capture) is for capture tap only: cbt needs no I/O filter"},
		{"    quiesce: true", "    disks: [{name: a, path: /a}]\n    listen: :1", "19 /spec/source/disks (capture) use either disks or vms, not both\n20 /spec/source/listen (capture) is for disks only: for VMs the address is configured through the vCenter"},
		{"    - {vm: web01, disk: Hard disk 2, datastore: ds2}", "    - {name: a, path: /a, disk: scsi0:1, datastore: ds2}", "32 /spec/target/disks/0/name (capture) is for source.disks only: for a VM use vm and disk\n32 /spec/target/disks/0/path (capture) is for source.disks only: for a VM use datastore"},
		{"    - {vm: web01, disk: Hard disk 2, datastore: ds2}", "    - {vm: web01}", `32 /spec/target/disks/0 (required) disk and datastore are missing`},
		{"  checks:\n", "  of: mother\n  checks:\n", "40 /spec (additionalProperties) there is no field of\n40 /spec/of (internal) the job was derived for a VM of the job mother: apply that job instead"},
		{"    quiesce: true", "    vm: u", `19 /spec/source (additionalProperties) there is no field vm`},
		{"    host: esx11", "    host: esx11\n    adopt: true", `30 /spec/target (additionalProperties) there is no field adopt`},
		// Which VMs.
		{"    - name: web01", "    - {}", `21 /spec/source/vms/0 (either) no VM given: use exactly one of name, path, uuid, folder and tag`},
		{"    - name: web01", "    - name: web01\n      path: /a", `21 /spec/source/vms/0 (either) use exactly one of name, path, uuid, folder and tag, not name and path`},
		{"    - name: web01", "    - name: web01\n    - name: web01", `22 /spec/source/vms/1/name (unique) web01 is already selected by vms 0`},
		{"    - name: web01", "    - name: web01\n      exclude: [b]", `22 /spec/source/vms/0/exclude (either) is for folder or tag only: a name selects one VM`},
		{"exclude: [old]", "exclude: [a, b, a]", `24 /spec/source/vms/2/exclude/2 (unique) "a" is excluded twice`},
		{"    - name: web01", "    - path: web01", `21 /spec/source/vms/0/path (path) "web01" is not an inventory path: write it as /datacenter/vm/folder/name`},
		{"    - name: web01", "    - folder: /a/", `21 /spec/source/vms/0/folder (path) "/a/" is not an inventory path: write it as /datacenter/vm/folder/name`},
		{"503E115F-", "503X-", `22 /spec/source/vms/1/uuid (uuid) "503x-0c9a-7721-d04b-88126faa5d03" is not a UUID: write the VM's instance UUID, as 503e115f-0c9a-7721-d04b-88126faa5d03`},
		{"tier/gold", "gold", `23 /spec/source/vms/2/tag (tag) "gold": write category/name`},
		{"    - disk: scsi0:3", "    - disk: SCSI 0:3", `26 /spec/source/excludeDisks/0/disk (address) "SCSI 0:3": write an address, as scsi0:1, or a label, as Hard disk 2`},
		{"    - disk: scsi0:3", "    - disk: scsi0:3\n    - disk: scsi0:3", `27 /spec/source/excludeDisks/1/disk (unique) the disk "scsi0:3" of every VM is already listed at 0`},
		// Where they stand.
		{"    host: esx11\n", "", `27 /spec/target (either) no place given for the replicas: use host or cluster`},
		{"    host: esx11", "    host: esx11\n    cluster: c", `30 /spec/target/cluster (either) use either host or cluster, not both`},
		{"    datastore: ds1\n", "", `27 /spec/target (required) datastore is missing`},
		{"disk: Hard disk 2, datastore", "disk: scsi0:3, datastore", `32 /spec/target/disks/0/disk (reference) the disk "scsi0:3" of web01 has no replica: it is excluded by source.excludeDisks 0`},
		{"test: Bubble", "test: DR", `34 /spec/target/networks/0/test (isolated) "DR" is a production network, which a test must not reach: use an isolated one, or leave it out to test disconnected`},
		{"    - {from: VM Network, to: DR, test: Bubble}", "    - {from: a, to: b}\n    - {from: a, to: c}", `35 /spec/target/networks/1/from (unique) "a" is already mapped by networks 0`},
		{"\"[ds1] old/web01.vmdk\"", "ds1/web01.vmdk", `39 /spec/target/seeds/0/file (file) "ds1/web01.vmdk": write [datastore] folder/name.vmdk`},
		{"    - {vm: web01, disk: scsi0:0", "    - {disk: scsi0:0", `39 /spec/target/seeds/0 (required) vm is missing: a seed is for one VM's disk`},
		{"    host: esx11", "    host: esx11\n    suffix: a/b", `30 /spec/target/suffix (pattern) "a/b": must contain only letters, digits, spaces and . _ -, 1 to 40 characters`},
		// Addresses.
		{"    host: esx11", "    host: esx11\n    guestLogin: a/b", `30 /spec/target/guestLogin (name) check name guestLogin: "a/b": must be lower-case letters, digits and dashes, starting with a letter, at most 40 long`},
		{"    host: esx11", "    host: esx11\n    guestLogins: [{vm: a, login: linux}, {vm: a, login: a/b}]", "30 /spec/target/guestLogins/1/login (name) check name guestLogin: \"a/b\": must be lower-case letters, digits and dashes, starting with a letter, at most 40 long\n30 /spec/target/guestLogins/1/vm (unique) a already has a login by guestLogins 0"},
		{"ip: 10.9.0.5/24", "ip: 10.9.0.5", `36 /spec/target/reIP/0/ip (cidr) "10.9.0.5": write an address with its prefix length, as 10.9.0.5/24`},
		{"ip: 10.9.0.5/24", "ip: 10.9.0.255/24", `36 /spec/target/reIP/0/ip (host) 10.9.0.255 is the address of the network itself, or its broadcast address`},
		{"ip: 10.9.0.5/24", "ip: 'fd00::5/64'", `36 /spec/target/reIP/0/ip (ipv4) fd00::5/64: only IPv4 addresses can be given to a guest`},
		{"gateway: 10.9.0.1}", "gateway: 10.8.0.1}", `36 /spec/target/reIP/0/gateway (network) 10.8.0.1 is not in the network 10.9.0.0/24, so it could not be reached`},
		{"gateway: 10.9.0.1}", "gateway: 10.9.0.5}", `36 /spec/target/reIP/0/gateway (unique) 10.9.0.5 is the VM's own address`},
		{"gateway: 10.9.0.1}", "gateway: ten, dns: [eight]}", "36 /spec/target/reIP/0/dns/0 (ip) \"eight\" is not an IP address\n36 /spec/target/reIP/0/gateway (ip) \"ten\" is not an IP address"},
		{"{vm: web01, ip: 10.9.0.5/24, gateway: 10.9.0.1}", "{gateway: 10.9.0.1}", `36 /spec/target/reIP/0 (either) either vm and ip, or from and to, are required`},
		{"{vm: web01, ip: 10.9.0.5/24, gateway: 10.9.0.1}", "{vm: web01, from: 10.1.0.0/24}", `36 /spec/target/reIP/0 (either) use either vm and ip, or from and to: a rule is for one network card or for a network`},
		{"to: 10.9.0.0/24}", "to: 10.9.0.0/25}", `37 /spec/target/reIP/1/to (length) 10.1.0.0/24 and 10.9.0.0/25 have different prefix lengths: they must be equal, because the host part is kept`},
		{"to: 10.9.0.0/24}", "to: 'fd09::/24'}", `37 /spec/target/reIP/1/to (kind) 10.1.0.0/24 and fd09::/24 are networks of IPv4 and of IPv6: an address keeps its kind`},
		{"{from: 10.1.0.0/24, to", "{from: 'fd01::/48', to: 'fd09::/48', gateway: 'fd08::1'}\n    - {from: 10.1.0.0/24, to", `37 /spec/target/reIP/1/gateway (network) fd08::1 is not in the network fd09::/48, so it could not be reached`},
		{"{from: 10.1.0.0/24, to", "{from: 10.1.0.7/24, to", `37 /spec/target/reIP/1/from (cidr) 10.1.0.7/24 has a host part: the network is 10.1.0.0/24`},
		{"    - {from: 10.1.0.0/24, to", "    - {from: 10.1.0.0/16, to: 10.2.0.0/16}\n    - {from: 10.1.0.0/24, to", `38 /spec/target/reIP/2/from (unique) 10.1.0.0/24 overlaps 10.1.0.0/16 of reIP 1: two rules would apply to one address`},
		{"    - {from: 10.1.0.0/24, to", "    - {vm: web01, ip: 10.9.0.5/24}\n    - {from: 10.1.0.0/24, to", "37 /spec/target/reIP/1/ip (unique) 10.9.0.5 is already assigned by reIP 0\n37 /spec/target/reIP/1/vm (unique) card 0 of web01 already gets its address from reIP 0"},
		// Times and checks.
		{"  checks:", "  rpo: 5s\n  checks:", `40 /spec/rpo (range) 5s: must be at least 10s: with capture cbt every recovery point costs the VM a snapshot`},
		{"  checks:", "  rpo: 2h\n  checks:", `40 /spec/rpo (range) 2h: must be from 10s to 1h`},
		{"ports: [22]", "ports: [22, 0, 22]", "41 /spec/checks/ports/1 (minimum) is 0, but must be at least 1\n41 /spec/checks/ports/2 (unique) 22 is checked twice"},
		{"ports: [22]", "script: check.sh", `41 /spec/checks/script (path) "check.sh": must be an absolute path without . and ..`},
		{"ports: [22]", "ports: []", `41 /spec/checks/ports (minItems) needs at least 1 entry`},
		{"ports: [22]", "ports: [http]", `41 /spec/checks/ports/0 (type) must be a whole number, but is a text`},
		{"ports: [22]", "ports: [70000]", `41 /spec/checks/ports/0 (maximum) is 70000, but must be at most 65535`},
		{"ports: [22]", "tools: maybe", `41 /spec/checks/tools (type) must be true or false, but is a text`},
		{"ports: [22]", "timeout: 5", `41 /spec/checks/timeout (type) must be like 5s, 1m, 2h`},
		{"ports: [22]", "timeout: often", `41 /spec/checks/timeout (duration) "often" is not a duration: write 500ms, 5s, 1h30m or 2d`},
		{"ports: [22]", "timeout: ''", `41 /spec/checks/timeout (minLength) must be like 5s, 1m, 2h`},
		{"  - disk: scsi0:3", "  - disk: ''", `26 /spec/source/excludeDisks/0/disk (minLength) must not be empty`},
		{"name: shop", "name: Shop", `14 /metadata/name (pattern) "Shop": must begin with a lower-case letter and contain only lower-case letters, digits and -, at most 40 characters`},
		{"ports: [22]", "timeout: 2h", `41 /spec/checks/timeout (range) 2h: must be from 1s to 1h`},
	} {
		if got := bad(t, x.from, x.to); got != x.want {
			t.Errorf("%q\n got %s\nwant %s", x.to, got, x.want)
		}
	}
}

// TestDisksHaveNoVMs: a job of disks is refused the fields of VMs.
func TestDisksHaveNoVMs(t *testing.T) {
	for _, x := range []struct{ from, to, want string }{
		{"capture: tap", "capture: cbt", "/spec/source/capture: cbt needs a vCenter, so it is for vms only: for disks use inline or tap"},
		{"capture: tap", "capture: tap\n    filter: f", "/spec/source/filter: is for source.vms only: this job is of disks"},
		{"site: dr", "site: dr\n    host: esx", "/spec/target/host: is for source.vms only: this job is of disks"},
		{"{name: data, path: /srv/r-data.img}", "{name: data, path: /srv/r-data.img, datastore: d}", "/spec/target/disks/0/datastore: is for source.vms only"},
		{"  target:\n", "  checks: {ping: true}\n  target:\n", "/spec/checks: is for source.vms only"},
	} {
		in := strings.Replace(good, x.from, x.to, 1)
		_, err := Parse("f", []byte(in))
		if !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), x.want) || len(Problems(err)) != 1 {
			t.Errorf("%q\n got %v\nwant %s", x.to, err, x.want)
		}
	}
	in := "apiVersion: tidemark.dev/v1\nkind: ReplicationJob\nmetadata: {name: a}\nspec:\n  source: {site: prod, capture: tap}\n  target: {site: dr, disks: [{name: a, path: /a}]}\n"
	if _, err := Parse("f", []byte(in)); err == nil || !strings.Contains(err.Error(), "no disks given: use disks, or vms") {
		t.Error(err)
	}
}
