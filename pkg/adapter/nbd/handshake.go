package nbd

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
)

// handshake negotiates until the client has an export. It reads exactly what
// belongs to the options, so that nothing is lost when TLS or the transmission
// starts.
type handshake struct {
	*conn
	ctx      context.Context
	noZeroes bool
	fixed    bool // the client can take errors
	buf      []byte
}

// outcome of one option.
type outcome uint8

const (
	negotiate outcome = iota // wait for the next option
	leave                    // end the connection
	enter                    // start the transmission
)

// run returns nil with conn.exp set when the transmission may start, nil
// without it when the client is done, and an error otherwise.
func (h *handshake) run() error {
	if err := h.greet(); err != nil {
		return err
	}
	for {
		opt, data, err := h.option()
		if err == io.EOF {
			return nil // it left without an export
		}
		if err != nil {
			return err
		}
		if data == nil {
			continue // refused already
		}
		if !h.fixed && opt != optExportName {
			return fmt.Errorf("%w: option %d without fixed newstyle", ErrProtocol, opt)
		}
		next, err := h.dispatch(opt, data)
		if err != nil || next != negotiate {
			return err
		}
	}
}

func (h *handshake) greet() error {
	var hello [18]byte
	binary.BigEndian.PutUint64(hello[:], magicServer)
	binary.BigEndian.PutUint64(hello[8:], magicOption)
	binary.BigEndian.PutUint16(hello[16:], flagFixedNewstyle|flagNoZeroes)
	if _, err := h.nc.Write(hello[:]); err != nil {
		return err
	}
	var flags [4]byte
	if _, err := io.ReadFull(h.nc, flags[:]); err != nil {
		return err
	}
	f := binary.BigEndian.Uint32(flags[:])
	if f&^(flagFixedNewstyle|flagNoZeroes) != 0 {
		return fmt.Errorf("%w: client flags %#x", ErrProtocol, f)
	}
	h.fixed = f&flagFixedNewstyle != 0
	h.noZeroes = f&flagNoZeroes != 0
	return nil
}

// option reads the next option. data is never nil, except for an option that
// was too big and has been refused; it is valid until the next call.
func (h *handshake) option() (opt uint32, data []byte, err error) {
	var head [optionLen]byte
	if _, err := io.ReadFull(h.nc, head[:]); err != nil {
		return 0, nil, err
	}
	if binary.BigEndian.Uint64(head[:]) != magicOption {
		return 0, nil, fmt.Errorf("%w: bad option magic", ErrProtocol)
	}
	opt = binary.BigEndian.Uint32(head[8:])
	n := binary.BigEndian.Uint32(head[12:])
	if n > maxOption {
		// Skip it, unless it is far too long.
		if n > 16*maxOption || !h.fixed {
			return 0, nil, fmt.Errorf("%w: option %d of %d bytes", ErrProtocol, opt, n)
		}
		if _, err := io.CopyN(io.Discard, h.nc, int64(n)); err != nil {
			return 0, nil, err
		}
		return 0, nil, h.refuse(opt, repErrTooBig, "option too long")
	}
	if h.buf == nil || int(n) > len(h.buf) {
		h.buf = make([]byte, max(n, 256))
	}
	_, err = io.ReadFull(h.nc, h.buf[:n])
	return opt, h.buf[:n], err
}

// reply sends one option reply; parts are its data.
func (h *handshake) reply(opt, typ uint32, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := make([]byte, 20, 20+n)
	binary.BigEndian.PutUint64(b, magicOptReply)
	binary.BigEndian.PutUint32(b[8:], opt)
	binary.BigEndian.PutUint32(b[12:], typ)
	binary.BigEndian.PutUint32(b[16:], uint32(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	_, err := h.nc.Write(b)
	return err
}

// refuse answers an option with an error and a text for people.
func (h *handshake) refuse(opt, typ uint32, why string) error {
	return h.reply(opt, typ, []byte(why))
}

// startTLS continues over TLS. Nothing was negotiated in the clear that an
// attacker could have changed: before TLS every such option is refused.
func (h *handshake) startTLS() error {
	if err := h.reply(optStartTLS, repAck); err != nil {
		return err
	}
	t := tls.Server(h.base, h.srv.cfg.TLS)
	if err := t.HandshakeContext(h.ctx); err != nil {
		return err
	}
	h.nc = t
	state := t.ConnectionState()
	h.peer.TLS = &state
	return nil
}
