package spec

import (
	"encoding/json"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"tidemark.dev/pkg/cdp"
)

// rawVSphere is the section vsphere as it is written; what must not be there is
// read so that it can be refused in plain words.
type rawVSphere struct {
	VSphere
	Username json.RawMessage `json:"username"`
	Password json.RawMessage `json:"password"`
}

func (c *checker) site(doc []byte) *Site {
	var raw struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Kind    string      `json:"kind"`
			NATS    string      `json:"nats"`
			VSphere *rawVSphere `json:"vsphere"`
		} `json:"spec"`
	}
	_ = json.Unmarshal(doc, &raw) // a field of the wrong type was refused by the schema, the rest is read
	in := raw.Spec
	if in.NATS != "" {
		if u, err := url.Parse(in.NATS); err != nil || u.Host == "" {
			c.bad("/spec/nats", "url", "%q is not a URL: write nats://host:port", in.NATS)
		}
	}
	s := &Site{Name: cdp.Site(raw.Metadata.Name), Kind: in.Kind, NATS: in.NATS}
	c.reword("/spec", "required", "'vsphere'", "the section vsphere is missing: a site of kind vsphere needs credentials")
	switch {
	case in.VSphere == nil:
	case in.Kind == SiteVSphere:
		s.VSphere = c.vsphere(in.VSphere)
	case in.Kind != "":
		c.bad("/spec/vsphere", "kind", "is for sites of kind %s only", SiteVSphere)
	}
	return s
}

// fingerprint is 20 bytes (SHA-1) or 32 (SHA-256) in hex, with colons.
var fingerprint = regexp.MustCompile(`^[0-9A-Fa-f]{2}((:[0-9A-Fa-f]{2}){19}|(:[0-9A-Fa-f]{2}){31})$`)

func (c *checker) vsphere(in *rawVSphere) *VSphere {
	const at = "/spec/vsphere"
	v := in.VSphere
	for _, x := range []struct {
		field string
		raw   json.RawMessage
	}{{"username", in.Username}, {"password", in.Password}} {
		if x.raw != nil {
			c.bad(at+"/"+x.field, "secret", "a %s must not be in a spec, which many can read: put username and password in the file DIR/SITE/vcenters/NAME.yaml, mode 0600, on the machine of the site's vcenter service, and NAME in credentials", x.field)
		}
	}
	if v.URL != "" {
		c.vcenterURL(at+"/url", v.URL)
	}
	if v.Thumbprint != "" && !fingerprint.MatchString(v.Thumbprint) {
		c.bad(at+"/thumbprint", "thumbprint", "%q is not a thumbprint: write the 32 bytes of the certificate's SHA-256 (or the 20 of its SHA-1) in hex with colons, as openssl x509 -fingerprint -sha256 prints them", v.Thumbprint)
	}
	v.Thumbprint = strings.ToUpper(v.Thumbprint)
	if v.Thumbprint != "" && v.CA != "" {
		c.bad(at+"/ca", "either", "use either thumbprint or ca, not both")
	}
	if v.Devices == "" {
		v.Devices = DefaultDevices
	}
	c.absolute(at+"/ca", v.CA)
	if v.Credentials != "" && cdp.CheckName("", v.Credentials) != nil {
		c.bad(at+"/credentials", "name", "%q: write the NAME of the file DIR/SITE/vcenters/NAME.yaml on the machine of the site's vcenter service: %s", v.Credentials, cdp.NameRule)
	}
	c.absolute(at+"/devices", v.Devices)
	c.text(at+"/transporter", v.Transporter)
	if host, port, err := net.SplitHostPort(v.Taps); v.Taps != "" && (err != nil || host == "" || port == "0" || CheckListen(v.Taps) != nil) {
		c.bad(at+"/taps", "address", "%q: write host:port, the address that the hosts' I/O filters reach and the first port to use", v.Taps)
	}
	v.Instance = strings.ToLower(v.Instance)
	if v.Instance != "" && !uuidRE.MatchString(v.Instance) {
		c.bad(at+"/instance", "uuid", "%q is not a UUID: use the one from the error about another vCenter", v.Instance)
	}
	return &v
}

// vcenterURL takes https://host[:port], with /sdk or without.
func (c *checker) vcenterURL(at, raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		c.bad(at, "url", "%q is not a URL: write https://vc.example.com", hideUser(raw))
	case u.Scheme != "https":
		c.bad(at, "url", "%q: must be https, because the password is sent over it", hideUser(raw))
	case u.User != nil:
		c.bad(at, "secret", "user and password must not be in the URL: put them in the login file that credentials names")
	case u.Path != "" && u.Path != "/" && u.Path != "/sdk" || u.RawQuery != "" || u.Fragment != "":
		c.bad(at, "url", "%q: write only the host, as https://%s", raw, u.Host)
	case u.Port() != "":
		if n, err := strconv.Atoi(u.Port()); err != nil || n < 1 || n > 65535 {
			c.bad(at, "url", "%q: the port must be from 1 to 65535", raw)
		}
	}
}

// hideUser leaves out what may be a password.
func hideUser(raw string) string {
	if i := strings.LastIndex(raw, "@"); i >= 0 {
		return "..." + raw[i:]
	}
	return raw
}

func (c *checker) absolute(at, path string) {
	if path != "" && (!filepath.IsAbs(path) || filepath.Clean(path) != path) {
		c.bad(at, "path", "%q: must be an absolute path without . and ..", path)
	}
}

// text refuses what people cannot have meant: control characters, and space
// around it.
func (c *checker) text(at, s string) {
	if strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.bad(at, "text", "%q: has leading or trailing space, or control characters", s)
	}
}
