package node

import (
	"path/filepath"
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/services/journal"
)

// A site whose configuration has the signing key of a peer knows the peer by that, before
// it has signed anything, and does not take the first key that comes.
func TestAPeerIsKnownByTheSigningKeyOfTheConfiguration(t *testing.T) {
	cfg, key := DefaultConfig(), frame.PublicKey{1, 2, 3}
	cfg.Dir = t.TempDir()
	cfg.Sites[0].Signer = key.String()
	here := cfg.Sites[1:] // dr
	for range 2 {         // it starts again
		if err := cfg.bindPeerSigners(cfg.Dir, here); err != nil {
			t.Fatal(err)
		}
		bound, err := journal.ReadSigners(filepath.Join(cfg.Dir, "dr", "journal", "signers"), "prod")
		if err != nil || !slices.Equal(bound, []frame.PublicKey{key}) {
			t.Errorf("bound %v, %v", bound, err)
		}
	}
	if own, err := journal.ReadSigners(filepath.Join(cfg.Dir, "prod", "journal", "signers"), "dr"); err != nil || len(own) > 0 {
		t.Errorf("bound at the site that is not here: %v, %v", own, err)
	}
	cfg.Sites[0].Signer = "prod"
	if err := cfg.bindPeerSigners(cfg.Dir, here); !cdp.Is(err, cdp.Invalid) || cdp.HintOf(err) == "" {
		t.Errorf("a key that is none: %v", err)
	}
}
