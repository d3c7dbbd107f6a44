package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
)

// signingKey is the key with which the capture service of that directory signs recovery
// points. It never leaves the machine; its public half is in the file beside it.
func signingKey(dir string) (ed25519.PrivateKey, error) {
	const op = "load the signing key"
	path := filepath.Join(dir, "signing.key")
	key, err := loadKey(op, path, "recovery points are not signed; restore the file, or delete it to have a new key made, which the target then has to be told")
	if err != nil {
		return nil, err
	}
	public := PublicHalf(key) + "\n"
	at := filepath.Join(dir, "signing.pub")
	if have, err := os.ReadFile(at); err == nil && string(have) == public {
		return key, nil
	}
	if err := durable.WriteFile(at, []byte(public)); err != nil {
		return key, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: at, Cause: err}
	}
	return key, nil
}

// loadKey is the key in a file, which is made the first time. hint says what to do
// about a file that holds none.
func loadKey(op, path, hint string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // it never fails
		data = []byte(hex.EncodeToString(seed))
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = durable.WriteFile(path, append(data, '\n'))
		}
	}
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, cdp.Errorf(cdp.Invalid, op, path, "it holds no key: want %d hexadecimal digits", 2*ed25519.SeedSize).WithHint(hint)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
