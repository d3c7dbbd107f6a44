package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
)

// maxSocketPath is what the kernel's address of a unix socket has room for, in bytes.
const maxSocketPath = 107

// SocketPath is where a service listens in its directory when nobody names a path: at
// name, a path below dir, or, where that is too long for a socket, at a short name made
// from it. The same dir and name always give the same path.
func SocketPath(dir, name string) string {
	path := filepath.Join(dir, name)
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(dir, hex.EncodeToString(sum[:8])+".sock")
}
