package nbd

import "encoding/binary"

// request is the header of one command.
type request struct {
	flags  uint16
	cmd    uint16
	cookie uint64
	off    uint64
	n      uint32
}

// decodeRequest reads the 28 bytes of a header; false means that the magic is
// wrong, so nothing that follows can be read.
func decodeRequest(b []byte) (request, bool) {
	return request{
		flags:  binary.BigEndian.Uint16(b[4:]),
		cmd:    binary.BigEndian.Uint16(b[6:]),
		cookie: binary.BigEndian.Uint64(b[8:]),
		off:    binary.BigEndian.Uint64(b[16:]),
		n:      binary.BigEndian.Uint32(b[24:]),
	}, binary.BigEndian.Uint32(b) == magicRequest
}

// check decides whether a request may reach the backend. The order matters: of
// several reasons a client gets the one that it can do most about.
func (x *servedExport) check(r request, neg negotiated) errno {
	allowed := uint16(cmdFlagFUA) // the protocol accepts FUA on any command
	writes := false
	switch r.cmd {
	case cmdRead:
		if neg.structured {
			allowed |= cmdFlagDF
		}
	case cmdWrite, cmdTrim:
		writes = true
	case cmdWriteZeroes:
		writes = true
		allowed |= cmdFlagNoHole | cmdFlagFastZero
	case cmdFlush:
		if r.off != 0 || r.n != 0 {
			return einval
		}
	case cmdCache:
	case cmdBlockStatus:
		allowed |= cmdFlagReqOne
		if !neg.allocation {
			return einval
		}
	default:
		return einval
	}
	switch {
	case r.flags&^allowed != 0:
		return einval
	case r.cmd == cmdFlush:
		return 0
	case writes && x.ReadOnly:
		return eperm
	case r.n == 0:
		return einval
	case (r.cmd == cmdRead || r.cmd == cmdWrite) && r.n > maxRequest:
		return eoverflow
	case (r.off|uint64(r.n))&uint64(x.MinBlock-1) != 0:
		return einval
	case r.off > uint64(x.size) || uint64(r.n) > uint64(x.size)-r.off:
		if r.cmd == cmdWrite || r.cmd == cmdWriteZeroes {
			return enospc
		}
		return einval
	}
	return 0
}
