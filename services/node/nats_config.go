package node

import (
	"tidemark.dev/pkg/cdp"
)

// NATSConfig is the configuration of a NATS server for a site of the file. It
// holds passwords and seeds; those that are missing are made.
func NATSConfig(cfg Config, site cdp.Site) (string, error) {
	dir, err := directory(cfg)
	if err != nil {
		return "", err
	}
	sites, err := cfg.only([]cdp.Site{site})
	if err != nil {
		return "", err
	}
	creds, err := credentials(dir, cfg, site)
	if err != nil {
		return "", err
	}
	sc, err := cfg.server(dir, sites[0], creds, func(cdp.Site) string { return "" })
	if err != nil {
		return "", err
	}
	return sc.Text()
}
