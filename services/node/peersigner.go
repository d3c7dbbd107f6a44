package node

import (
	"fmt"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// bindPeerSigners binds the signing keys that the configuration gives for the peers of the
// sites that run here. A peer without one, which was never joined either, is known by
// the first key that it signs with.
func (c Config) bindPeerSigners(dir string, here []SiteConfig) error {
	for i, s := range c.Sites {
		if s.Signer == "" {
			continue
		}
		key, err := frame.ParsePublicKey(s.Signer)
		if err != nil {
			return cdp.Errorf(cdp.Invalid, "bind signing key", fmt.Sprintf("sites[%d].signer", i), "%q is not a signing key: want %d hexadecimal digits", s.Signer, 2*len(key)).
				WithHint("take the line of capture/signing.pub in the directory of site " + string(s.Name))
		}
		for _, x := range here {
			if slices.Contains(c.peers(s.Name), x.Name) {
				if _, err := bindSigner(dir, x.Name, s.Name, key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
