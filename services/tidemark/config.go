package main

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
	defaultSource     = cdp.Site("prod")
	defaultTarget     = cdp.Site("dr")
	defaultSourceNATS = "127.0.0.1:4222"
	defaultTargetNATS = "127.0.0.1:4223"
	defaultLeaf       = "127.0.0.1:7422"
)

// upConfig is what `tidemark up` can be told, as YAML.
type upConfig struct {
	// Dir holds everything; --dir goes before it.
	Dir    string     `json:"dir,omitempty"`
	Source siteConfig `json:"source"`
	Target siteConfig `json:"target"`
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

// siteConfig is one of the two sites.
type siteConfig struct {
	Name cdp.Site `json:"name,omitempty"`
	// Listen is host:port of its NATS server.
	Listen string `json:"listen,omitempty"`
	// Services that run there.
	Services []string `json:"services,omitempty"`
}

func defaultUpConfig() upConfig {
	return upConfig{
		Source: siteConfig{Name: defaultSource, Listen: defaultSourceNATS, Services: []string{subjects.Capture, subjects.VCenter}},
		Target: siteConfig{Name: defaultTarget, Listen: defaultTargetNATS, Services: []string{subjects.Journal, subjects.Scheduler, subjects.RPOMonitor, subjects.Failover, subjects.VCenter}},
		Leaf:   defaultLeaf,
	}
}

// loadUpConfig reads a file over the defaults; an empty path is the defaults.
func loadUpConfig(path string) (upConfig, error) {
	const op = "read config"
	c := defaultUpConfig()
	if path != "" {
		data, err := os.ReadFile(path)
		if err == nil {
			err = yaml.UnmarshalStrict(data, &c)
		}
		if err != nil {
			return c, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
		}
	}
	for field, s := range map[string]siteConfig{"source": c.Source, "target": c.Target} {
		if err := cdp.CheckName(field+".name", string(s.Name)); err != nil {
			return c, cdp.Wrap(err, op, path)
		}
		for _, x := range s.Services {
			if !slices.Contains(roleNames(), x) {
				return c, cdp.Errorf(cdp.Invalid, op, field+".services", "%q: there are %v", x, roleNames())
			}
		}
	}
	if c.Source.Name == c.Target.Name {
		return c, cdp.Errorf(cdp.Invalid, op, "target.name", "%q is the source's name, too", c.Target.Name)
	}
	return c, nil
}

func (c upConfig) tlsFiles() bus.TLSFiles {
	return bus.TLSFiles{CA: c.TLS.CA, Cert: c.TLS.Cert, Key: c.TLS.Key}
}
