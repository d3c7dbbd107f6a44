package capture

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
)

// export is one disk of a group as an NBD client sees it.
type export struct {
	*guestIO
	id cdp.DiskID
}

var (
	_ nbd.Backend       = export{}
	_ nbd.StatusBackend = export{}
)

func (e export) Size() int64                               { return e.disks[e.id].Size }
func (e export) ReadAt(p []byte, off int64) error          { return e.read(e.id, p, off) }
func (e export) WriteAt(p []byte, off int64, _ bool) error { return e.write(e.id, p, off) }
func (e export) Trim(off, n int64, _ bool) error           { return e.trim(e.id, off, n) }
func (e export) Flush() error                              { return e.flush(e.id) }

func (e export) Zero(off, n int64, flags nbd.ZeroFlags) error {
	var f ZeroFlags
	if flags&nbd.ZeroNoHole != 0 {
		f |= NoHole
	}
	if flags&nbd.ZeroFast != 0 {
		f |= Fast
	}
	return e.zero(e.id, off, n, f)
}

// Status implements nbd.StatusBackend.
func (e export) Status(off, n int64) (es []nbd.Extent) {
	dev := e.disks[e.id].dev
	if dev == nil {
		return nil
	}
	for _, x := range dev.Extents(off, n) {
		es = append(es, nbd.Extent{Length: x.Length, Hole: x.Hole, Zero: x.Hole})
	}
	return es
}

// Backend is a disk of the group for a server of the caller's.
func (g *Group) Backend(id cdp.DiskID) nbd.Backend { return export{&g.guests, id} }

// servers are the NBD listeners of one group.
type servers struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	locks  []*os.File
}

// serve opens the group's listeners and serves its disks until stop.
func (g *Group) serve() (_ *servers, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &servers{cancel: cancel}
	var ls []net.Listener
	defer func() {
		if err != nil {
			for _, l := range ls {
				l.Close()
			}
			s.stop()
		}
	}()
	for _, l := range g.job.Listen {
		ln, err := s.listen(l)
		if err != nil {
			return nil, err
		}
		ls = append(ls, ln)
	}
	for i, l := range g.job.Listen {
		srv := nbd.New(nbd.Config{TLS: l.TLS, Events: g.nbdEvent})
		for _, d := range g.disks {
			err := srv.AddExport(nbd.Export{
				Name: d.Name, Backend: export{&g.guests, d.ID}, MultiConn: g.job.Mode == Inline,
				OnConnect:    func(nbd.Peer) error { g.clientCame(d.ID); return nil },
				OnDisconnect: func(_ nbd.Peer, clean bool) { g.clientGone(d.ID, clean) },
			})
			if err != nil {
				return nil, cdp.Wrap(&cdp.Error{Op: "add export", Kind: cdp.Invalid, Cause: err}, "serve", string(g.job.Group))
			}
		}
		s.wg.Go(func() {
			if err := srv.Serve(ctx, ls[i]); err != nil {
				g.notes.add(err)
			}
		})
	}
	return s, nil
}

func (g *Group) nbdEvent(e nbd.Event) {
	if e.Kind == nbd.EventRefused && e.Err != nil {
		g.notes.add(e.Err)
	}
}

// listen binds an address. A unix socket that an earlier process left is
// replaced; a lock beside it keeps two processes from doing so to each other.
func (s *servers) listen(l Listen) (net.Listener, error) {
	const op = "listen"
	if l.Network == "unix" {
		if err := os.MkdirAll(filepath.Dir(l.Address), 0o700); err != nil {
			return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: l.Address, Cause: err}
		}
		f, err := os.OpenFile(l.Address+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: l.Address, Cause: err}
		}
		s.locks = append(s.locks, f)
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return nil, &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: l.Address, Cause: err, Hint: "another process serves this socket"}
		}
		os.Remove(l.Address)
	}
	ln, err := net.Listen(l.Network, l.Address)
	if err != nil {
		kind := cdp.Transient
		if errors.Is(err, syscall.EINVAL) {
			kind = cdp.Invalid
		}
		return nil, &cdp.Error{Op: op, Kind: kind, Subject: l.Address, Cause: err}
	}
	if l.Network == "unix" {
		mode := l.Mode
		orDefault(&mode, 0o600)
		os.Chmod(l.Address, mode)
	}
	return ln, nil
}

func (s *servers) stop() {
	s.cancel()
	s.wg.Wait()
	for _, f := range s.locks {
		f.Close()
	}
}
