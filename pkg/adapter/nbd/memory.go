package nbd

import "math/bits"

// keepScratch is the most scratch memory a connection keeps between requests,
// in bytes. More than that goes back to a pool that all connections share, so
// that one large request does not cost 32 MiB for as long as a client stays.
const keepScratch = 1 << 20

// memory returns n bytes, with any content, for the request being served.
func (c *conn) memory(n int) []byte {
	if c.scratch == nil || cap(*c.scratch) < n {
		c.scratch = nil
		if n > keepScratch {
			c.scratch, _ = c.srv.large.Get().(*[]byte)
		}
		if c.scratch == nil || cap(*c.scratch) < n {
			p := make([]byte, 1<<max(16, bits.Len(uint(n-1))))
			c.scratch = &p
		}
	}
	return (*c.scratch)[:n]
}

// release returns memory to the pool that is too much to keep for the next request.
func (c *conn) release() {
	if c.scratch != nil && cap(*c.scratch) > keepScratch {
		c.srv.large.Put(c.scratch)
		c.scratch = nil
	}
}
