package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// dispatch handles one option.
func (h *handshake) dispatch(opt uint32, data []byte) (outcome, error) {
	if h.srv.cfg.TLS != nil && h.peer.TLS == nil && opt != optStartTLS && opt != optAbort {
		if opt == optExportName { // cannot be answered with an error
			return leave, fmt.Errorf("%w: no TLS", ErrRefused)
		}
		return negotiate, h.refuse(opt, repErrTLSReqd, "TLS is required")
	}
	switch opt {
	case optExportName:
		return h.exportName(string(data))
	case optInfo, optGo:
		return h.info(opt, data)
	case optListMeta, optSetMeta:
		return negotiate, h.meta(opt, data)
	case optAbort, optList, optStartTLS, optStructuredReply:
		if len(data) != 0 {
			return negotiate, h.refuse(opt, repErrInvalid, "this option takes no data")
		}
	}
	switch opt {
	case optAbort:
		h.reply(opt, repAck) // the client may be gone already
		return leave, nil
	case optList:
		return negotiate, h.list()
	case optStartTLS:
		switch {
		case h.srv.cfg.TLS == nil:
			return negotiate, h.refuse(opt, repErrUnsup, "the server has no TLS")
		case h.peer.TLS != nil:
			return negotiate, h.refuse(opt, repErrInvalid, "TLS is on already")
		}
		return negotiate, h.startTLS()
	case optStructuredReply:
		h.neg.structured = true
		return negotiate, h.reply(opt, repAck)
	}
	return negotiate, h.refuse(opt, repErrUnsup, "unknown option")
}

func (h *handshake) list() error {
	if h.srv.cfg.NoList {
		return h.refuse(optList, repErrPolicy, "exports are not listed")
	}
	for _, x := range h.srv.list() {
		if h.allowed(x) != nil {
			continue
		}
		n := binary.BigEndian.AppendUint32(nil, uint32(len(x.Name)))
		if err := h.reply(optList, repServer, n, []byte(x.Name), []byte(x.Description)); err != nil {
			return err
		}
	}
	return h.reply(optList, repAck)
}

// exportName is how old clients choose an export. It cannot be refused, only the
// connection closed.
func (h *handshake) exportName(name string) (outcome, error) {
	x := h.srv.lookup(name)
	if x == nil {
		return leave, failed("attach to export", name, ErrUnknownExport)
	}
	if err := h.allowed(x); err != nil {
		return leave, err
	}
	if err := h.srv.attach(h.conn, x); err != nil {
		return leave, err
	}
	h.dropForeignContext()
	b := make([]byte, 10, 10+exportNameZeroes)
	binary.BigEndian.PutUint64(b, uint64(x.size))
	binary.BigEndian.PutUint16(b[8:], x.flags(h.neg.structured))
	if !h.noZeroes {
		b = b[:cap(b)]
	}
	_, err := h.nc.Write(b)
	return enter, err
}

// info answers INFO and GO: name, then the information the client asks for.
func (h *handshake) info(opt uint32, data []byte) (outcome, error) {
	name, rest, ok := takeString(data)
	if !ok || len(rest) < 2 || len(rest)-2 != 2*int(binary.BigEndian.Uint16(rest)) {
		return negotiate, h.refuse(opt, repErrInvalid, "malformed request")
	}
	asked := map[uint16]bool{}
	for rest = rest[2:]; len(rest) > 0; rest = rest[2:] {
		asked[binary.BigEndian.Uint16(rest)] = true
	}
	x := h.srv.lookup(name)
	if x == nil {
		return negotiate, h.refuse(opt, repErrUnknown, "no such export")
	}
	if err := h.allowed(x); err != nil {
		return negotiate, h.forbid(opt, name, err)
	}
	// Clients that do not ask for it may use 512 bytes.
	if opt == optGo && x.MinBlock > defaultMinBlock && !asked[infoBlockSize] {
		return negotiate, h.refuse(opt, repErrBlockSizeReq, "ask for the block size first")
	}
	if opt == optGo {
		switch err := h.srv.attach(h.conn, x); {
		case errors.Is(err, ErrUnknownExport):
			return negotiate, h.refuse(opt, repErrUnknown, "no such export")
		case err != nil:
			return negotiate, h.forbid(opt, name, err)
		}
		h.dropForeignContext()
	}
	if err := h.describe(opt, x, asked); err != nil {
		return leave, err
	}
	if opt == optGo {
		return enter, nil
	}
	return negotiate, nil
}

// allowed is why the client may not have x.
func (h *handshake) allowed(x *servedExport) error {
	if x.Allow == nil {
		return nil
	}
	if err := x.Allow(h.peer); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// forbid refuses an export to the client, and reports it.
func (h *handshake) forbid(opt uint32, name string, why error) error {
	h.srv.event(Event{Kind: EventRefused, Export: name, Peer: h.peer, Err: why})
	return h.refuse(opt, repErrPolicy, why.Error())
}

// describe sends the information replies and the final ACK.
func (h *handshake) describe(opt uint32, x *servedExport, asked map[uint16]bool) error {
	be := binary.BigEndian
	send := func(typ uint16, data []byte) error {
		return h.reply(opt, repInfo, be.AppendUint16(nil, typ), data)
	}
	size := be.AppendUint16(be.AppendUint64(nil, uint64(x.size)), x.flags(h.neg.structured))
	if err := send(infoExport, size); err != nil {
		return err
	}
	sizes := be.AppendUint32(be.AppendUint32(be.AppendUint32(nil,
		x.MinBlock), max(preferredBlock, x.MinBlock)), maxRequest)
	if err := send(infoBlockSize, sizes); err != nil {
		return err
	}
	if asked[infoName] {
		if err := send(infoName, []byte(x.Name)); err != nil {
			return err
		}
	}
	if asked[infoDescription] && x.Description != "" {
		if err := send(infoDescription, []byte(x.Description)); err != nil {
			return err
		}
	}
	return h.reply(opt, repAck)
}

// dropForeignContext drops a metadata context that was negotiated for another
// export.
func (h *handshake) dropForeignContext() {
	h.neg.allocation = h.neg.allocation && h.neg.metaExport == h.exp.Name
}

// meta answers LIST_META_CONTEXT and SET_META_CONTEXT.
func (h *handshake) meta(opt uint32, data []byte) error {
	if opt == optSetMeta {
		h.neg.allocation = false // each request replaces the one before
	}
	name, rest, ok := takeString(data)
	if !ok || len(rest) < 4 {
		return h.refuse(opt, repErrInvalid, "malformed request")
	}
	queries := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	match := opt == optListMeta && queries == 0
	for ; queries > 0; queries-- {
		var q string
		if q, rest, ok = takeString(rest); !ok {
			return h.refuse(opt, repErrInvalid, "malformed query")
		}
		match = match || q == contextAllocation || opt == optListMeta && q == "base:"
	}
	switch {
	case len(rest) != 0:
		return h.refuse(opt, repErrInvalid, "malformed request")
	case !h.neg.structured:
		return h.refuse(opt, repErrInvalid, "needs structured replies")
	}
	x := h.srv.lookup(name)
	if x == nil {
		return h.refuse(opt, repErrUnknown, "no such export")
	}
	if err := h.allowed(x); err != nil {
		return h.forbid(opt, name, err)
	}
	if match {
		id := uint32(contextID)
		if opt == optSetMeta {
			h.neg.allocation, h.neg.metaExport = true, name
		} else {
			id = 0 // reserved when listing
		}
		if err := h.reply(opt, repMeta, binary.BigEndian.AppendUint32(nil, id), []byte(contextAllocation)); err != nil {
			return err
		}
	}
	return h.reply(opt, repAck)
}

// takeString splits a string with its 32-bit length off b.
func takeString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxName || int(n) > len(b)-4 {
		return "", nil, false
	}
	return string(b[4 : 4+n]), b[4+n:], true
}
