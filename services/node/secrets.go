package node

import (
	"os"
	"path/filepath"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
)

// Secrets writes, for each service of a site, a file with the service's own user of
// the site's server, and no other: OUT/SERVICE.json. Users that are missing are made in
// the directory of the configuration. It returns the files.
func Secrets(cfg Config, site cdp.Site, out string) ([]string, error) {
	const op = "write secrets"
	if _, err := cfg.only([]cdp.Site{site}); err != nil {
		return nil, err
	}
	if cfg.Open {
		return nil, cdp.Errorf(cdp.Invalid, op, "open", "the site's server has no users, so there are no secrets").WithHint("remove open: true")
	}
	dir, err := directory(cfg)
	if err != nil {
		return nil, err
	}
	all, err := credentials(dir, cfg, site)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o700); err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: out, Cause: err}
	}
	var files []string
	for _, service := range Services() {
		own := bus.Credentials{Site: site, Users: map[string]bus.Credential{service: all.Users[service]}}
		path := filepath.Join(out, service+".json")
		if err := own.Save(path); err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	return files, nil
}
