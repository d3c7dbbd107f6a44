package nbd

import "io"

const (
	bufferLen = 64 << 10 // input and output buffer of a connection
	// largePayload is from which length on a payload is received by a system call
	// of its own, into its final place, instead of being copied.
	largePayload = 16 << 10
)

// reader reads requests from a connection. One system call receives many small
// requests; the payload of large writes is received into its final place.
//
// Invariant: 0 <= r <= w <= len(buf); buf[r:w] is received and not yet read.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int
	// idle runs before each read of src, which may block: replies that the client
	// waits for have to be sent first.
	idle func() error
	// brief: the last request was a large write, the next one may be too. Read
	// no more than its header, so that its payload is not copied.
	brief bool
}

func (in *reader) read(p []byte) (int, error) {
	if err := in.idle(); err != nil {
		return 0, err
	}
	n, err := in.src.Read(p)
	if n > 0 {
		err = nil // it comes again with the next read
	} else if err == nil {
		err = io.ErrNoProgress
	}
	return n, err
}

// header returns the next n bytes, valid until the next call. io.EOF means
// that the peer hung up between requests.
func (in *reader) header(n int) ([]byte, error) {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if len(in.buf)-in.r < n {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	for in.w-in.r < n {
		room := in.buf[in.w:]
		if in.brief {
			room = in.buf[in.w : in.r+n]
		}
		got, err := in.read(room)
		if err == io.EOF && in.w > in.r {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		in.w += got
	}
	in.r += n
	return in.buf[in.r-n : in.r], nil
}

// payload fills p with the bytes that follow.
func (in *reader) payload(p []byte) error {
	in.brief = len(p) >= largePayload
	for {
		n := copy(p, in.buf[in.r:in.w])
		in.r += n
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		in.r, in.w = 0, 0
		var got int
		var err error
		if len(p) >= largePayload || in.brief {
			got, err = in.read(p)
			p = p[got:]
		} else {
			in.w, err = in.read(in.buf)
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
}

// drop discards the next n bytes, the payload of a refused write.
func (in *reader) drop(n int64) error {
	for {
		k := min(n, int64(in.w-in.r))
		in.r += int(k)
		if n -= k; n == 0 {
			return nil
		}
		in.r, in.w = 0, 0
		var err error
		if in.w, err = in.read(in.buf); err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
}
