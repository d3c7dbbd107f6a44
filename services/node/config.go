package node

import (
	"cmp"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// Defaults of `tidemark up`, all in one place: two sites on this machine.
const (
	DefaultSite     = cdp.Site("dr")
	defaultOther    = cdp.Site("prod")
	defaultListen   = "127.0.0.1:4223"
	defaultLeaf     = "127.0.0.1:7422"
	defaultOtherBus = "127.0.0.1:4222"
)

// Config is the file of `tidemark up`, as YAML: sites, and the links between
// them. The same file may be used at every site.
type Config struct {
	// Dir holds everything; --dir goes before it.
	Dir   string       `json:"dir,omitempty"`
	Sites []SiteConfig `json:"sites"`
	// Windows is the memory for writes that are not sent yet, of all sites of the
	// process together, such as 2GiB. Default: an eighth of the machine's.
	Windows spec.Size `json:"windows,omitempty"`
	// Links join the sites: a tree, such as a hub and its spokes.
	Links []LinkConfig `json:"links,omitempty"`
	// Open does without users and passwords. Anybody who reaches the ports may
	// do everything.
	Open bool `json:"open,omitempty"`
	// TLS is for sites that have none of their own.
	TLS bus.TLSFiles `json:"tls,omitzero"`
	// Allow is for sites that have none of their own. Default: the working directory.
	// The directory Dir is allowed, too, but not what Tidemark keeps there.
	Allow Allow `json:"allow,omitzero"`
	// DiskClients is for sites that do not say. Default: ByName.
	DiskClients DiskClients `json:"diskClients,omitempty"`
	// Memory is what this process aims to stay below. Default: a quarter of the
	// machine's, or of its control group's.
	Memory spec.Size `json:"memory,omitempty"`
	// OTLP is the URL of an OpenTelemetry collector; empty: no tracing.
	OTLP string `json:"otlp,omitempty"`
	// Metrics is host:port where monitoring may ask the process; without a host on
	// the loopback interface. Empty: nowhere.
	Metrics string `json:"metrics,omitempty"`
}

// SiteConfig is one site. Which of its disks are replicated, and whose replicas
// it holds, is what jobs say: no site is a source or a target by itself.
type SiteConfig struct {
	Name cdp.Site `json:"name"`
	// Listen is host:port of its NATS server. Port 0 picks a free one.
	Listen string `json:"listen"`
	// Leaf is host:port where it waits for the sites that dial it; empty if none
	// does.
	Leaf string `json:"leaf,omitempty"`
	// Signer is the public key that it signs recovery points with, as its peers must know
	// it: the line of its capture/signing.pub. Sites that are joined need none.
	Signer string `json:"signer,omitempty"`
	// Spool is the disk space for frames that wait to be sent, such as 60GiB, the
	// default. The groups that are captured at the site share it.
	Spool spec.Size `json:"spool,omitempty"`
	// Services that run there; left out: all.
	Services    []string     `json:"services,omitempty"`
	TLS         bus.TLSFiles `json:"tls,omitzero"`
	Allow       Allow        `json:"allow,omitzero"`
	DiskClients DiskClients  `json:"diskClients,omitempty"`
	// Approvers are persons of whom two have to agree to what destroys history that no
	// lock holds. None: nobody has to.
	Approvers []Approver `json:"approvers,omitempty"`
}

// LinkConfig is a connection that one site opens to another. What crosses it, in
// either direction, does not depend on who opened it.
type LinkConfig struct {
	From cdp.Site `json:"from"` // the site that dials
	To   cdp.Site `json:"to"`
	// Dial is host:port where From reaches To, if it is another address than
	// To's leaf: behind NAT, for instance.
	Dial string `json:"dial,omitempty"`
	// Key is From's public key for this link, as To must know it. It may be left
	// out where both sites' directories are on one machine.
	Key string `json:"key,omitempty"`
	// Compression is off (default), s2_fast, s2_better or s2_auto.
	Compression string `json:"compression,omitempty"`
}

// DefaultConfig is two sites, prod and dr, on this machine.
func DefaultConfig() Config {
	return Config{
		Sites: []SiteConfig{
			{Name: defaultOther, Listen: defaultOtherBus},
			{Name: DefaultSite, Listen: defaultListen, Leaf: defaultLeaf},
		},
		Links: []LinkConfig{{From: defaultOther, To: DefaultSite}},
	}
}

// site is the configuration of a site; nil if there is none of this name.
func (c Config) site(name cdp.Site) *SiteConfig {
	for i := range c.Sites {
		if c.Sites[i].Name == name {
			return &c.Sites[i]
		}
	}
	return nil
}

// peers are the sites that a site is linked with.
func (c Config) peers(name cdp.Site) []cdp.Site {
	out := []cdp.Site{}
	for _, l := range c.Links {
		switch name {
		case l.From:
			out = append(out, l.To)
		case l.To:
			out = append(out, l.From)
		}
	}
	return out
}

// hub is the site that commands talk to if they are not told: the first one that
// opens no link, for that is where the others' replicas are by custom.
func (c Config) hub() cdp.Site {
	for _, s := range c.Sites {
		dials := false
		for _, l := range c.Links {
			dials = dials || l.From == s.Name
		}
		if !dials {
			return s.Name
		}
	}
	return c.Sites[0].Name
}

func (c Config) tls(s SiteConfig) bus.TLSFiles {
	if !s.TLS.None() {
		return s.TLS
	}
	return c.TLS
}

// diskClients says who may open a site's disks over TCP.
func (c Config) diskClients(s SiteConfig) DiskClients { return cmp.Or(s.DiskClients, c.DiskClients) }

// services are those that run at a site.
func (s SiteConfig) services() []string {
	if s.Services == nil {
		return Services()
	}
	return s.Services
}
