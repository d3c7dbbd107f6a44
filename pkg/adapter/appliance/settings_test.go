package appliance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

func settings(kv ...string) (Settings, error) {
	return ReadSettings(func(key string) (string, error) {
		for i := 0; i < len(kv); i += 2 {
			if kv[i] == key {
				return kv[i+1], nil
			}
		}
		return "", nil
	})
}

func TestWrongSettingsAreNamedAllAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		kv   []string
		says []string
	}{
		"nothing":      {nil, []string{"tidemark.name: it is not set", "tidemark.site", "tidemark.nats"}},
		"no prefix":    {[]string{"address", "10.9.0.5"}, []string{"10.9.0.5/24"}},
		"IPv6":         {[]string{"address", "fd00::5/64", "gateway", "fd00::1"}, []string{"not an IPv4 address with", "not an IPv4 address"}},
		"gateway only": {[]string{"gateway", "10.9.0.1"}, []string{"gateway: it needs address"}},
		"dns":          {[]string{"dns", "10.9.0.2, ns1"}, []string{`dns: "ns1"`}},
		"a flag":       {[]string{"services", "journal --dir=/"}, []string{`services: "--dir=/"`}},
		"no site":      {[]string{"vcenter", "url: x"}, []string{"vcenter: it needs site"}},
		"half of TLS":  {[]string{"tls-key", "PEM"}, []string{"give tls-cert and tls-key"}},
	} {
		_, err := settings(c.kv...)
		if !cdp.Is(err, cdp.Invalid) || !strings.Contains(cdp.HintOf(err), "reads them again") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", name, want, err)
			}
		}
	}
}

func TestSettingsBecomeACommandAndFiles(t *testing.T) {
	s, err := settings("name", "tm-dr", "site", "dr", "nats", "nats://10.0.0.1:4222", "peers", "prod, hq", "services", "journal capture", "disk-clients", "anybody", "credentials", "{}\n", "tls-ca", "CA", "address", "10.0.0.5/24")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c, err := s.install(dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(c.args, " "), "serve journal capture --site dr --connect-timeout 1m --peer prod --peer hq --disk-clients anybody --credentials "+dir+"/credentials.json"; got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
	for _, want := range []string{"TIDEMARK_TRANSPORTER=tm-dr", "TIDEMARK_NATS=nats://10.0.0.1:4222", "TIDEMARK_TLS_CA=" + dir + "/ca.pem", "TIDEMARK_TLS_KEY="} {
		if !slices.Contains(c.env, want) {
			t.Errorf("%s is not in %v", want, c.env)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, "credentials.json")); err != nil || st.Mode().Perm() != 0o400 {
		t.Error(st.Mode(), err)
	}
	if s, err = settings("name", "tm", "site", "dr", "up", "sites: []", "vcenter", "url: x"); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	for range 2 {
		if c, err = s.install(dir, state); err != nil || c.args[0] != "up" || len(c.args) != 3 {
			t.Error(c.args, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(state, "dr", "vcenters", "vcenter.yaml")); string(b) != "url: x\n" {
		t.Errorf("the vCenter's login: %q, %v", b, err)
	}
}
