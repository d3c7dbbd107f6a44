package proc

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Ports that are handed out are none that the kernel gives to whoever asks for any.
const (
	firstPort = 10000
	blocks    = 20 // of ports; each process has one for itself
	perBlock  = 1000
)

// FreeAddr is an address of this machine at which nobody listens, and which nobody else
// is given: also while the server that it was asked for is down, for other tests run in
// this process and in others.
func FreeAddr() (string, error) {
	base, err := block()
	if err != nil {
		return "", err
	}
	for range perBlock {
		addr := fmt.Sprintf("127.0.0.1:%d", base+next())
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", err
}

var (
	mu    sync.Mutex
	given int
)

// next is the next place in the block; it begins anew when all were given.
func next() int {
	mu.Lock()
	defer mu.Unlock()
	given++
	return given % perBlock
}

// block is the first port of a block that no other process has. The lock on its file
// ends with this process.
var block = sync.OnceValues(func() (int, error) {
	for i := range blocks {
		path := filepath.Join(os.TempDir(), fmt.Sprintf("tidemark-ports-%d", i))
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return 0, &os.PathError{Op: "open", Path: path, Err: err}
		}
		if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
			return firstPort + i*perBlock, nil
		}
		_ = unix.Close(fd) // another process has it
	}
	return 0, fmt.Errorf("%d processes use all blocks of ports: see %s", blocks, filepath.Join(os.TempDir(), "tidemark-ports-*"))
})
