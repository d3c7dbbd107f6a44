package vsphere_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// Settings that may be secrets are neither in the inventory nor in a single VM's
// answer. Those that its replica needs are.
func TestSecretsStayAtTheVCenter(t *testing.T) {
	e := target(t, vcsim.Config{})
	made, err := e.sim.AddVM(vcsim.VMSpec{Name: "web01", Extra: map[string]string{
		"guestinfo.tidemark.credentials": "hush", "guestinfo.tidemark.nats": "nats://u:hush@x", "guestinfo.tidemark.version": "1.2", "guestinfo.tidemark.name": "tp",
		"guestinfo.userdata": "password: hush", "guestinfo.vendordata": "hush", "guestinfo.custom": "hush", "RemoteDisplay.vnc.password": "hush",
		"guestinfo.metadata": "instance-id: iid-7\nlocal-hostname: web01\npassword: hush\n", inventory.MarkTransporter: "tp", "disk.EnableUUID": "TRUE",
	}})
	e.must(err)
	v, err := e.c.VM(e.ctx, made.UUID)
	e.must(err)
	inv, err := e.c.Inventory(e.ctx)
	e.must(err)
	for what, x := range map[string]any{"VM": v, "inventory": inv} {
		raw, err := json.Marshal(x)
		e.must(err)
		if strings.Contains(string(raw), "hush") {
			t.Errorf("the %s tells a secret: %s", what, raw)
		}
	}
	want := map[string]string{"guestinfo.tidemark.version": "1.2", "guestinfo.tidemark.name": "tp", inventory.MarkTransporter: "tp", "disk.EnableUUID": "TRUE",
		"guestinfo.metadata": "instance-id: \"iid-7\"\nlocal-hostname: \"web01\"\n"}
	for k, w := range want {
		if v.Hardware.Extra[k] != w {
			t.Errorf("%s is %q, not %q", k, v.Hardware.Extra[k], w)
		}
	}
	if x := vmpolicy.ReplicaHardware(v.Hardware).Extra; len(x) != 2 || x["guestinfo.metadata"] == "" {
		t.Errorf("the replica gets %v", x)
	}
}

// Whatever the form of cloud-init's metadata, the replica is the same machine.
func TestIdentityOfAMachine(t *testing.T) {
	e := target(t, vcsim.Config{})
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write([]byte(`instance-id: "iid-7" # ours`))
	e.must(err)
	e.must(w.Close())
	for name, m := range map[string]struct{ text, encoding, want string }{
		"yaml":   {"instance-id: iid-7\nnetwork:\n  instance-id: other\n", "", "instance-id: \"iid-7\"\n"},
		"json":   {`{"network": {"instance-id": "other"}, "instance-id": "iid-7"}`, "", "instance-id: \"iid-7\"\n"},
		"base64": {base64.StdEncoding.EncodeToString([]byte("instance-id: iid-7")), "base64", "instance-id: \"iid-7\"\n"},
		"gzip":   {base64.StdEncoding.EncodeToString(z.Bytes()), "gz+b64", "instance-id: \"iid-7\"\n"},
		"broken": {"?", "base64", ""},
		"none":   {"password: hush", "", ""},
	} {
		made, err := e.sim.AddVM(vcsim.VMSpec{Name: name, Extra: map[string]string{"guestinfo.metadata": m.text, "guestinfo.metadata.encoding": m.encoding}})
		e.must(err)
		v, err := e.c.VM(e.ctx, made.UUID)
		e.must(err)
		if got, told := v.Hardware.Extra["guestinfo.metadata"]; got != m.want || told != (m.want != "") {
			t.Errorf("%s: %q", name, v.Hardware.Extra)
		}
	}
}
