package nbd_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/core/block"
)

// ram is a disk in memory. Its clients must not write at the same time.
type ram []byte

func (r ram) Size() int64                                { return int64(len(r)) }
func (r ram) ReadAt(p []byte, off int64) error           { copy(p, r[off:]); return nil }
func (r ram) WriteAt(p []byte, off int64, _ bool) error  { copy(r[off:], p); return nil }
func (r ram) Zero(off, n int64, _ block.ZeroFlags) error { clear(r[off : off+n]); return nil }
func (r ram) Trim(off, n int64, _ bool) error            { return nil }
func (r ram) Flush() error                               { return nil }

// Serve a disk on a unix socket, write to it and read it back.
func Example() {
	dir, err := os.MkdirTemp("", "nbd")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "sock")

	server, err := nbd.Serve(socket, nbd.Config{}, nbd.Export{Name: "disk", Backend: make(ram, 1<<20)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	client, err := nbd.Dial(context.Background(), "unix", socket, "disk")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	sector := make([]byte, 512)
	copy(sector, "tide")
	if _, err := client.WriteAt(sector, 4096); err != nil {
		fmt.Println(err)
		return
	}
	if err := client.Flush(); err != nil {
		fmt.Println(err)
		return
	}
	clear(sector)
	if _, err := client.ReadAt(sector, 4096); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bytes, at 4096: %s\n", client.Size(), sector[:4])
	// Output: 1048576 bytes, at 4096: tide
}

// A read-only export refuses writes with EPERM.
func ExampleExport_readOnly() {
	dir, err := os.MkdirTemp("", "nbd")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "sock")
	server, err := nbd.Serve(socket, nbd.Config{}, nbd.Export{Name: "disk", Backend: make(ram, 1<<20), ReadOnly: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client, err := nbd.Dial(context.Background(), "unix", socket, "disk")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, err = client.WriteAt(make([]byte, 512), 0)
	fmt.Println(client.ReadOnly(), err)
	// Output: true write export disk: operation not permitted
}
