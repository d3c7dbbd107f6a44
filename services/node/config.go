package node

import (
	"os"
	"slices"

	"tidemark.dev/pkg/contract/subjects"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
)

// Defaults of `tidemark up`, all in one place.
const (
	DefaultSource     = cdp.Site("prod")
	DefaultTarget     = cdp.Site("dr")
	defaultSourceNATS = "127.0.0.1:4222"
	defaultTargetNATS = "127.0.0.1:4223"
	defaultLeaf       = "127.0.0.1:7422"
)

// Config is what `tidemark up` can be told, as YAML.
type Config struct {
	// Dir holds everything; --dir goes before it.
	Dir    string     `json:"dir,omitempty"`
	Source SiteConfig `json:"source"`
	Target SiteConfig `json:"target"`
	// Leaf is host:port where the target waits for the source to join.
	Leaf string `json:"leaf,omitempty"`
	// Open does without users and passwords. Anybody who reaches the ports may
	// do everything.
	Open bool `json:"open,omitempty"`
	TLS  struct {
		CA   string `json:"ca,omitempty"`
		Cert string `json:"cert,omitempty"`
		Key  string `json:"key,omitempty"`
	} `json:"tls,omitempty"`
	// OTLP is the URL of an OpenTelemetry collector; empty: no tracing.
	OTLP string `json:"otlp,omitempty"`
}

// SiteConfig is one of the two sites.
type SiteConfig struct {
	Name cdp.Site `json:"name,omitempty"`
	// Listen is host:port of its NATS server.
	Listen string `json:"listen,omitempty"`
	// Services that run there.
	Services []string `json:"services,omitempty"`
}

func DefaultConfig() Config {
	return Config{
		Source: SiteConfig{Name: DefaultSource, Listen: defaultSourceNATS, Services: []string{subjects.Capture, subjects.VCenter}},
		Target: SiteConfig{Name: DefaultTarget, Listen: defaultTargetNATS, Services: []string{subjects.Journal, subjects.Scheduler, subjects.RPOMonitor, subjects.Failover, subjects.VCenter}},
		Leaf:   defaultLeaf,
	}
}

// LoadConfig reads a file over the defaults; an empty path is the defaults.
func LoadConfig(path string) (Config, error) {
	const op = "read config"
	c := DefaultConfig()
	if path != "" {
		data, err := os.ReadFile(path)
		if err == nil {
			err = yaml.UnmarshalStrict(data, &c)
		}
		if err != nil {
			return c, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
		}
	}
	for field, s := range map[string]SiteConfig{"source": c.Source, "target": c.Target} {
		if err := cdp.CheckName(field+".name", string(s.Name)); err != nil {
			return c, cdp.Wrap(err, op, path)
		}
		for _, x := range s.Services {
			if !slices.Contains(Services(), x) {
				return c, cdp.Errorf(cdp.Invalid, op, field+".services", "%q: there are %v", x, Services())
			}
		}
	}
	if c.Source.Name == c.Target.Name {
		return c, cdp.Errorf(cdp.Invalid, op, "target.name", "%q is the source's name, too", c.Target.Name)
	}
	return c, nil
}

func (c Config) tlsFiles() bus.TLSFiles {
	return bus.TLSFiles{CA: c.TLS.CA, Cert: c.TLS.Cert, Key: c.TLS.Key}
}
