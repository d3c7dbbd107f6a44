package node

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/spoolshare"
)

// LoadConfig reads and checks a file; an empty path gives the defaults.
func LoadConfig(path string) (Config, error) {
	if path == "" {
		return DefaultConfig(), nil
	}
	const op = "read config"
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	if err := refuseOldForm(data); err != nil {
		return Config{}, cdp.Wrap(err, op, path)
	}
	var c Config
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return c, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	return c, cdp.Wrap(c.check(), op, path)
}

// oldForm is the file of a time when there were two sites, one of each role.
type oldForm struct {
	Source, Target *SiteConfig
	Leaf           string
}

// refuseOldForm refuses a file of the old form, and writes it in the new one.
func refuseOldForm(data []byte) error {
	var o oldForm
	if err := yaml.Unmarshal(data, &o); err != nil || o.Source == nil && o.Target == nil && o.Leaf == "" {
		return nil // LoadConfig says what is wrong with it
	}
	c := DefaultConfig()
	if o.Leaf != "" {
		c.Sites[1].Leaf = o.Leaf
	}
	for i, s := range []*SiteConfig{o.Source, o.Target} {
		if s == nil {
			continue
		}
		x := &c.Sites[i]
		if s.Name != "" {
			x.Name = s.Name
		}
		if s.Listen != "" {
			x.Listen = s.Listen
		}
		x.Services = s.Services
	}
	c.Links[0].From, c.Links[0].To = c.Sites[0].Name, c.Sites[1].Name
	text, err := yaml.Marshal(struct {
		Sites []SiteConfig `json:"sites"`
		Links []LinkConfig `json:"links"`
	}{c.Sites, c.Links})
	if err != nil {
		return err
	}
	return cdp.Errorf(cdp.Invalid, "check", "source, target, leaf", "source and target are roles that a job gives to sites, and no longer settings of a site").
		WithHint("replace them by:\n" + string(text))
}

// check tells the first thing that is wrong.
func (c Config) check() error {
	if c.Memory != 0 && c.Memory < leastMemory {
		return cdp.Errorf(cdp.Invalid, "check", "memory", "%s is too little: want at least %s", c.Memory, spec.Size(leastMemory))
	}
	const op = "check"
	if err := checkAddress("metrics", c.Metrics); err != nil {
		return err
	}
	if len(c.Sites) == 0 {
		return cdp.Errorf(cdp.Invalid, op, "sites", "there must be at least one")
	}
	if c.Windows != 0 && c.Windows < minWindows {
		return cdp.Errorf(cdp.Invalid, op, "windows", "%s is less than a busy group needs, %s", c.Windows, spec.Size(minWindows))
	}
	if err := c.Allow.check("allow"); err != nil {
		return err
	}
	if err := c.DiskClients.Check("diskClients"); err != nil {
		return err
	}
	seen := map[cdp.Site]bool{}
	for i, s := range c.Sites {
		field := fmt.Sprintf("sites[%d]", i)
		if err := s.Allow.check(field + ".allow"); err != nil {
			return err
		}
		if err := s.DiskClients.Check(field + ".diskClients"); err != nil {
			return err
		}
		if _, err := approversOf(s.Approvers, field+".approvers"); err != nil {
			return err
		}
		if err := cdp.CheckName(field+".name", string(s.Name)); err != nil {
			return err
		}
		if seen[s.Name] {
			return cdp.Errorf(cdp.Invalid, op, field+".name", "there are two sites %q", s.Name)
		}
		seen[s.Name] = true
		for f, addr := range map[string]string{".listen": s.Listen, ".leaf": s.Leaf} {
			if err := checkAddress(field+f, addr); err != nil {
				return err
			}
		}
		if s.Spool != 0 && s.Spool < spoolshare.Least {
			return cdp.Errorf(cdp.Invalid, op, field+".spool", "%s is less than one group needs, %s", s.Spool, spec.Size(spoolshare.Least))
		}
		for _, x := range s.Services {
			if !slices.Contains(Services(), x) {
				return cdp.Errorf(cdp.Invalid, op, field+".services", "there is no service %q; the services are %s", x, strings.Join(Services(), ", "))
			}
		}
	}
	return c.checkLinks()
}

// checkLinks holds the links to a tree: with a circle in it, a message would go
// round for ever.
func (c Config) checkLinks() error {
	const op = "check"
	tree := map[cdp.Site]cdp.Site{} // to the parent; a root has none
	root := func(s cdp.Site) cdp.Site {
		for tree[s] != "" {
			s = tree[s]
		}
		return s
	}
	for i, l := range c.Links {
		field := fmt.Sprintf("links[%d]", i)
		for f, s := range map[string]cdp.Site{".from": l.From, ".to": l.To} {
			if c.site(s) == nil {
				return cdp.Errorf(cdp.Invalid, op, field+f, "there is no site %q in sites", s)
			}
		}
		if l.From == l.To {
			return cdp.Errorf(cdp.Invalid, op, field, "%s is linked with itself", l.From)
		}
		a, b := root(l.From), root(l.To)
		if a == b {
			return cdp.Errorf(cdp.Invalid, op, field, "the links must form a tree: %s and %s are joined already by the links before this one", l.From, l.To).
				WithHint("two sites need one link, in either direction: it carries jobs both ways")
		}
		tree[a] = b
		if err := checkAddress(field+".dial", l.Dial); err != nil {
			return err
		}
		if l.Dial == "" && c.site(l.To).Leaf == "" {
			return cdp.Errorf(cdp.Invalid, op, field, "%s waits for nobody: give the site %s a leaf address", l.To, l.To)
		}
	}
	return nil
}

func checkAddress(field, addr string) error {
	if addr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return cdp.Errorf(cdp.Invalid, "check", field, "%q: want host:port", addr)
	}
	return nil
}
