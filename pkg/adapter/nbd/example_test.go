package nbd_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"tidemark.dev/pkg/adapter/nbd"
)

// A disk image served on a unix socket, and a client of it.
func Example() {
	dir, _ := os.MkdirTemp("", "nbd")
	defer os.RemoveAll(dir)
	image, sock := filepath.Join(dir, "disk"), filepath.Join(dir, "sock")
	os.WriteFile(image, make([]byte, 1<<20), 0o600)

	disk, err := nbd.OpenFile(image, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer disk.Close()
	server := nbd.New(nbd.Config{})
	server.AddExport(nbd.Export{Name: "disk", Backend: disk, MultiConn: true})

	l, err := net.Listen("unix", sock)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error)
	go func() { served <- server.Serve(ctx, l) }()

	c, err := nbd.Dial(ctx, "unix", sock, "disk")
	if err != nil {
		fmt.Println(err)
		return
	}
	block := make([]byte, 512)
	c.WriteAt([]byte("tide"+string(block[:508])), 4096)
	c.Flush()
	c.ReadAt(block, 4096)
	c.Close()
	stop()
	fmt.Println(c.Size(), string(block[:4]), <-served)
	// Output: 1048576 tide <nil>
}
