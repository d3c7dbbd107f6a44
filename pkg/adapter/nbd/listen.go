package nbd

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/cdp"
)

// Listen listens at addr: a host and port, or the path of a unix socket, which
// begins with a slash. Only the owner may connect to a socket. Directories that are missing
// are made; a symbolic link among them is refused.
//
// It replaces a unix socket that nobody listens on any more, which a process that
// was killed left there. Whatever else has that name stays as it is: Conflict. Close
// removes the socket, unless the name means another file by then.
func Listen(addr string) (net.Listener, error) {
	if strings.HasPrefix(addr, "/") {
		return listenUnix(addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, failed(opListen, addr, err)
	}
	return l, nil
}

const opListen = "listen"

// unixSocket is a listener on a unix socket that it has made.
type unixSocket struct {
	*net.UnixListener
	path   string
	folder *os.File    // that it is in, whatever becomes of its name
	made   os.FileInfo // the socket itself

	close sync.Once
	err   error
}

// maxSocketPath is what the kernel's address of a unix socket has room for, in bytes.
const maxSocketPath = 107

func listenUnix(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, cdp.Errorf(cdp.Invalid, opListen, path, "the path of a unix socket has at most %d bytes, and this one has %d", maxSocketPath, len(path)).
			WithHint("listen at a shorter path or at host:port, or keep Tidemark's directory at a shorter path")
	}
	folder, err := localpath.Folder(filepath.Dir(path), true)
	if err != nil {
		return nil, failed(opListen, path, err)
	}
	s := &unixSocket{path: path, folder: folder}
	if err := s.listen(); err != nil {
		folder.Close()
		return nil, err
	}
	return s, nil
}

// name is the socket's, by way of its folder.
func (s *unixSocket) name() string { return localpath.Under(s.folder, filepath.Base(s.path)) }

func (s *unixSocket) listen() error {
	unlock, err := lockFolder(s.folder)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.clearStale(); err != nil {
		return err
	}
	// The file gets the socket's mode as it is made: there is no moment when others may
	// connect, and no second use of its name.
	private := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if cerr := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); cerr != nil {
			return cerr
		}
		return err
	}}
	l, err := private.Listen(context.Background(), "unix", s.name())
	if err != nil {
		return failed(opListen, s.path, err)
	}
	s.UnixListener = l.(*net.UnixListener)
	s.SetUnlinkOnClose(false) // it would remove whatever has the name by then
	if s.made, err = os.Lstat(s.name()); err != nil {
		return failed(opListen, s.path, errors.Join(err, l.Close()))
	}
	return nil
}

// Addr is where clients find the socket.
func (s *unixSocket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// clearStale makes room, or says why it cannot: only a socket that nobody listens on is
// removed. Call it with the folder locked.
func (s *unixSocket) clearStale() error {
	path := s.path
	found, err := os.Lstat(s.name())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return failed(opListen, path, err)
	case found.Mode().Type() != os.ModeSocket:
		return cdp.Errorf(cdp.Conflict, opListen, path, "there is a %s of that name, and only a socket that nobody uses is replaced: nothing was changed", typeName(found.Mode())).
			WithHint("listen at a path where there is nothing")
	}
	c, err := net.DialTimeout("unix", s.name(), time.Second)
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return cdp.Errorf(cdp.Conflict, opListen, path, "another process serves this socket").
			WithHint("stop that process, or listen at another path")
	}
	if err := os.Remove(s.name()); err != nil {
		return failed(opListen, path, err)
	}
	return nil
}

func typeName(m os.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "directory"
	case m&os.ModeSymlink != 0:
		return "symbolic link"
	case m&os.ModeDevice != 0:
		return "device"
	}
	return "file of another kind"
}

// lockFolder keeps all others that bind or unbind sockets in a folder out, so that
// none removes a socket which another has just made. It is held for an instant.
func lockFolder(folder *os.File) (unlock func(), err error) {
	dir := folder.Name()
	f, err := os.Open(localpath.Under(folder, ".")) // the folder's own descriptor cannot be locked
	if err != nil {
		return nil, failed(opListen, dir, err)
	}
	const pause = 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || waited > 5*time.Second {
			f.Close()
			return nil, failed(opListen, dir, err)
		}
		time.Sleep(pause)
	}
}

// Close ends listening and removes the socket.
func (s *unixSocket) Close() error {
	s.close.Do(func() {
		defer s.folder.Close()
		unlock, err := lockFolder(s.folder)
		if err == nil {
			defer unlock()
			var now os.FileInfo
			if now, err = os.Lstat(s.name()); err == nil && os.SameFile(now, s.made) {
				err = os.Remove(s.name())
			}
		}
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		s.err = errors.Join(err, s.UnixListener.Close())
	})
	return s.err
}
