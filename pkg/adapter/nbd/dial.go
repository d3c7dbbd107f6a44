package nbd

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Dialer connects clients. The zero value is ready for servers without TLS.
type Dialer struct {
	// TLS, if set, makes the client require TLS with this configuration.
	TLS *tls.Config
	// Simple leaves out structured replies and with them block status.
	Simple bool
}

// Dial connects to an export of the server at addr; network is "tcp" or "unix".
func Dial(ctx context.Context, network, addr, export string) (*Client, error) {
	return Dialer{}.Dial(ctx, network, addr, export)
}

// Dial connects to an export. It fails with ErrUnknownExport or ErrRefused if the
// server refuses. ctx bounds the handshake only.
func (d Dialer) Dial(ctx context.Context, network, addr, export string) (*Client, error) {
	var nd net.Dialer
	nc, err := nd.DialContext(ctx, network, addr)
	if err != nil {
		return nil, failed("dial NBD server", addr, err)
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	g := greeting{nc: nc, c: &Client{name: export, calls: map[uint64]*call{}, done: make(chan struct{}),
		min: 1, max: maxRequest}}
	err = g.run(ctx, d)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, failed("open export", addr+"/"+export, err)
	}
	g.c.nc = g.nc
	go g.c.receive()
	return g.c, nil
}

// greeting is the client's side of the handshake.
type greeting struct {
	nc net.Conn
	c  *Client
}

func (g *greeting) run(ctx context.Context, d Dialer) error {
	be := binary.BigEndian
	var hello [18]byte
	if _, err := io.ReadFull(g.nc, hello[:]); err != nil {
		return err
	}
	flags := be.Uint16(hello[16:])
	if be.Uint64(hello[:]) != magicServer || be.Uint64(hello[8:]) != magicOption || flags&flagFixedNewstyle == 0 {
		return violation("not a fixed newstyle server")
	}
	if _, err := g.nc.Write(be.AppendUint32(nil, uint32(flags&(flagFixedNewstyle|flagNoZeroes)))); err != nil {
		return err
	}
	if d.TLS != nil {
		if err := g.option(optStartTLS, nil, nil); err != nil {
			return err
		}
		t := tls.Client(g.nc, d.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
		g.nc = t
	}
	if !d.Simple {
		if err := g.contexts(); err != nil {
			return err
		}
	}
	data := be.AppendUint32(nil, uint32(len(g.c.name)))
	data = append(data, g.c.name...)
	data = be.AppendUint16(data, 1)
	data = be.AppendUint16(data, infoBlockSize)
	return g.option(optGo, data, g.info)
}

// contexts asks for structured replies and block status; a server may support
// neither.
func (g *greeting) contexts() error {
	var no *optionError
	switch err := g.option(optStructuredReply, nil, nil); {
	case errors.As(err, &no) && no.typ == repErrUnsup:
		return nil
	case err != nil:
		return err
	}
	g.c.structured = true
	data := binary.BigEndian.AppendUint32(nil, uint32(len(g.c.name)))
	data = append(data, g.c.name...)
	data = binary.BigEndian.AppendUint32(data, 1)
	data = binary.BigEndian.AppendUint32(data, uint32(len(contextAllocation)))
	data = append(data, contextAllocation...)
	err := g.option(optSetMeta, data, func(typ uint32, data []byte) error {
		g.c.allocation = g.c.allocation || typ == repMeta
		return nil
	})
	if errors.As(err, &no) && no.typ != repErrTLSReqd {
		return nil // the reply to GO says what is wrong
	}
	return err
}

// info takes what the reply to GO says about the export.
func (g *greeting) info(typ uint32, p []byte) error {
	be := binary.BigEndian
	if typ != repInfo || len(p) < 2 {
		return violation("unexpected reply to GO")
	}
	switch kind := be.Uint16(p); {
	case kind == infoExport && len(p) == 12:
		g.c.size = int64(be.Uint64(p[2:]))
		g.c.flags = be.Uint16(p[10:])
		if g.c.size < 0 {
			return violation("export of %d bytes", uint64(g.c.size))
		}
	case kind == infoBlockSize && len(p) == 14:
		g.c.min = be.Uint32(p[2:])
		// The server takes any request up to its limit; ours may be lower.
		if most := be.Uint32(p[10:]); most >= g.c.min && most > 0 {
			g.c.max = min(most, maxRequest)
		}
	}
	return nil
}

// optionError is a server's refusal of an option.
type optionError struct {
	opt, typ uint32
	text     string
}

func (e *optionError) Error() string {
	return fmt.Sprintf("option %d: error %d: %s", e.opt, e.typ&^repErr, e.text)
}

func (e *optionError) Unwrap() error {
	if e.typ == repErrUnknown {
		return ErrUnknownExport
	}
	return ErrRefused
}

// option sends an option and hands its replies to each, until the last one.
func (g *greeting) option(opt uint32, data []byte, each func(typ uint32, data []byte) error) error {
	be := binary.BigEndian
	b := be.AppendUint64(nil, magicOption)
	b = be.AppendUint32(b, opt)
	b = be.AppendUint32(b, uint32(len(data)))
	if _, err := g.nc.Write(append(b, data...)); err != nil {
		return err
	}
	for {
		var head [20]byte
		if _, err := io.ReadFull(g.nc, head[:]); err != nil {
			return err
		}
		typ, n := be.Uint32(head[12:]), be.Uint32(head[16:])
		if be.Uint64(head[:]) != magicOptReply || be.Uint32(head[8:]) != opt || n > maxOption {
			return violation("malformed option reply")
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(g.nc, p); err != nil {
			return err
		}
		switch {
		case typ == repAck:
			return nil
		case typ&repErr != 0:
			return &optionError{opt, typ, string(p)}
		case each == nil:
			return violation("unexpected option reply %d", typ)
		}
		if err := each(typ, p); err != nil {
			return err
		}
	}
}
