package nbd

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Clients names who uses the exports now, one text for each connection: the address
// of a client over TCP, the process of one on a unix socket.
func (x *Serving) Clients() []string { return x.srv.Clients() }

// Clients is as Serving.Clients.
func (s *Server) Clients() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.exports {
		for _, c := range e.conns {
			out = append(out, c.who)
		}
	}
	slices.Sort(out)
	return out
}

// whoIs names the other end of a connection.
func whoIs(nc net.Conn) string {
	u, ok := nc.(*net.UnixConn)
	if !ok {
		return nc.RemoteAddr().String()
	}
	var cred *unix.Ucred
	raw, err := u.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	}
	if err != nil || cred == nil {
		return "a process on this machine"
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cred.Pid))
	if err != nil {
		return fmt.Sprintf("process %d", cred.Pid)
	}
	return fmt.Sprintf("process %d (%s)", cred.Pid, strings.TrimSpace(string(name)))
}
