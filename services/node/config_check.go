package node

import (
	"fmt"

	"tidemark.dev/pkg/cdp"
)

// CheckConfig reads a file as Up does, and looks at the certificates that it names, so
// that what is wrong is said before anything is started.
func CheckConfig(path string) (Config, error) {
	cfg, err := LoadConfig(path)
	if err != nil {
		return cfg, err
	}
	for i, s := range cfg.Sites {
		files := cfg.tls(s)
		if files.None() {
			continue
		}
		if _, err := files.Config(); err != nil {
			return cfg, cdp.Wrap(err, "check tls", fmt.Sprintf("sites[%d]", i))
		}
	}
	return cfg, nil
}
