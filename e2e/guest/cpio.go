package guest

import (
	"fmt"
	"io"
)

// Archive writes the "newc" archive the Linux kernel unpacks as an
// initramfs (Documentation/driver-api/early-userspace/buffer-format.rst): per
// file a header of six magic digits and thirteen fields of eight hex digits, the
// name with a NUL, padding to four bytes, the data, padding to four bytes.
//
// The first error is that of Close.
type Archive struct {
	W     io.Writer
	inode int
	err   error // the first one; later calls do nothing
}

const (
	cpioDir  = 0o040000
	cpioFile = 0o100000
	cpioLink = 0o120000
)

func (c *Archive) Dir(name string)                         { c.add(name, cpioDir|0o755, nil) }
func (c *Archive) Link(name, target string)                { c.add(name, cpioLink|0o777, []byte(target)) }
func (c *Archive) File(name string, perm int, data []byte) { c.add(name, cpioFile|perm, data) }

// Close ends the archive and returns the first error of all calls.
func (c *Archive) Close() error {
	c.add("TRAILER!!!", 0, nil)
	return c.err
}

func (c *Archive) add(name string, mode int, data []byte) {
	c.inode++
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	c.padded([]byte(head))
	c.padded(data)
}

func (c *Archive) padded(b []byte) {
	if c.err != nil {
		return
	}
	if _, c.err = c.W.Write(b); c.err == nil {
		_, c.err = c.W.Write(make([]byte, -len(b)&3))
	}
}
