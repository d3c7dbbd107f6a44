package appliance

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
)

// Settings are what the VM of a transporter says of it.
type Settings struct {
	// Name is the transporter's name, which its services report.
	Name string
	// Up is the content of an up.yaml; VCenter is that of the login named vcenter of the
	// site. With Up the appliance runs whole sites; otherwise services of one site.
	Up, VCenter string
	// NATS is the URL of the site's server.
	NATS, Site string
	Peers      []string
	Services   []string
	// DiskClients says who may open disks over TCP, as tidemark serve --disk-clients; empty:
	// its default.
	DiskClients string
	// Credentials, CA, Cert and Key are contents of files.
	Credentials, CA, Cert, Key string

	// Address is the static address; without one, DHCP is used.
	Address netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
	NTP     []string
}

// Setting is one key of the settings, below guestinfo.tidemark.
type Setting struct{ Key, Label string }

// Keys are all settings, in the order in which people see them.
var Keys = []Setting{
	{"name", "Name of the transporter, which its services report"},
	{"site", "Name of the site"},
	{"nats", "URL of the site's NATS server"},
	{"peers", "Names of the sites that this one is linked with"},
	{"services", "Services to run (default: journal)"},
	{"disk-clients", "Who may open disks over TCP: named (default) or anybody"},
	{"credentials", "Content of the file with the users of these services"},
	{"tls-ca", "Certificate authority, PEM"},
	{"tls-cert", "Certificate of the client, PEM"},
	{"tls-key", "Key of the client, PEM"},
	{"up", "Content of an up.yaml, to run whole sites in place of services"},
	{"vcenter", "Content of the login file of the site's vCenter, whose name is vcenter"},
	{"address", "IPv4 address with prefix, such as 10.9.0.5/24 (default: DHCP)"},
	{"gateway", "IPv4 gateway"},
	{"dns", "Addresses of DNS servers"},
	{"ntp", "Names or addresses of NTP servers"},
}

// ReadSettings reads all settings through get, which gives "" for one that is not set.
// Invalid: it names every setting that is wrong. What get returns is passed on.
func ReadSettings(get func(key string) (string, error)) (Settings, error) {
	raw := map[string]string{}
	for _, k := range Keys {
		v, err := get(k.Key)
		if err != nil {
			return Settings{}, err
		}
		raw[k.Key] = strings.TrimSpace(v)
	}
	s := Settings{Name: raw["name"], Up: raw["up"], VCenter: raw["vcenter"], NATS: raw["nats"], Site: raw["site"], Peers: words(raw["peers"]), Services: words(raw["services"]), DiskClients: raw["disk-clients"],
		Credentials: raw["credentials"], CA: raw["tls-ca"], Cert: raw["tls-cert"], Key: raw["tls-key"], NTP: words(raw["ntp"])}
	var bad []error
	wrong := func(key, format string, args ...any) {
		bad = append(bad, fmt.Errorf("guestinfo.tidemark.%s: %w", key, fmt.Errorf(format, args...)))
	}
	var err error
	if raw["address"] != "" {
		if s.Address, err = netip.ParsePrefix(raw["address"]); err != nil || !s.Address.Addr().Is4() {
			wrong("address", "%q is not an IPv4 address with prefix, such as 10.9.0.5/24", raw["address"])
		}
	}
	if raw["gateway"] != "" {
		if s.Gateway, err = netip.ParseAddr(raw["gateway"]); err != nil || !s.Gateway.Is4() {
			wrong("gateway", "%q is not an IPv4 address", raw["gateway"])
		}
		if raw["address"] == "" {
			wrong("gateway", "it needs address, too; without both, DHCP is used")
		}
	}
	for _, w := range words(raw["dns"]) {
		a, err := netip.ParseAddr(w)
		if err != nil {
			wrong("dns", "%q is not an address", w)
		}
		s.DNS = append(s.DNS, a)
	}
	s.checkServices(wrong)
	if len(bad) > 0 {
		return s, cdp.Errorf(cdp.Invalid, "read settings", "", "%w", errors.Join(bad...)).
			WithHint("change the VM's advanced settings; the appliance reads them again by itself")
	}
	return s, nil
}

// checkServices checks what is to run, and fills in the default.
func (s *Settings) checkServices(wrong func(key, format string, args ...any)) {
	if s.Name == "" {
		wrong("name", "it is not set: give the transporter a name")
	}
	if s.VCenter != "" && s.Site == "" {
		wrong("vcenter", "it needs site, too: the site whose vCenter it is")
	}
	if s.Up != "" {
		return
	}
	if err := cdp.CheckName("site", s.Site); err != nil {
		wrong("site", "%w", err)
	}
	if u, err := url.Parse(s.NATS); err != nil || u.Host == "" {
		wrong("nats", "%q is not a URL such as nats://10.9.0.2:4222", s.NATS)
	}
	if s.DiskClients != "" && cdp.CheckName("disk-clients", s.DiskClients) != nil {
		wrong("disk-clients", "%q is neither named nor anybody", s.DiskClients)
	}
	if len(s.Services) == 0 {
		s.Services = []string{"journal"}
	}
	if i := slices.IndexFunc(s.Services, func(x string) bool { return cdp.CheckName("services", x) != nil }); i >= 0 {
		wrong("services", "%q is not the name of a service", s.Services[i])
	}
	if (s.Cert == "") != (s.Key == "") {
		wrong("tls-cert", "give tls-cert and tls-key, or neither")
	}
}

// words are the parts of a list that is separated by commas or blanks.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}
