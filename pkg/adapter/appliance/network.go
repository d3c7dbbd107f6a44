package appliance

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// network is how a card is configured.
type network struct {
	address netip.Prefix
	gateway netip.Addr // none: no way out
	dns     []netip.Addr
	ntp     []string
}

// card is the first network card: of several, that of the lowest PCI slot.
func card() (string, error) {
	found, _ := filepath.Glob("/sys/class/net/*/device")
	slices.SortFunc(found, func(a, b string) int { return strings.Compare(slot(a), slot(b)) })
	if len(found) == 0 {
		return "", fmt.Errorf("this machine has no network card")
	}
	return filepath.Base(filepath.Dir(found[0])), nil
}

func slot(device string) string {
	real, _ := filepath.EvalSymlinks(device)
	return real
}

// up switches a card on.
func up(name string) error {
	return withRequest(name, func(fd int, r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	})
}

// configure gives a card its address, and the machine its way out and its name servers.
// What was configured before is replaced.
func configure(name string, n network) error {
	mask := net.CIDRMask(n.address.Bits(), 32)
	for _, x := range []struct {
		call uint
		a    []byte
	}{{unix.SIOCSIFADDR, n.address.Addr().AsSlice()}, {unix.SIOCSIFNETMASK, mask}} {
		err := withRequest(name, func(fd int, r *unix.Ifreq) error {
			if err := r.SetInet4Addr(x.a); err != nil {
				return err
			}
			return unix.IoctlIfreq(fd, x.call, r)
		})
		if err != nil {
			return fmt.Errorf("set %s of %s: %w", n.address, name, err)
		}
	}
	if n.gateway.IsValid() {
		if err := defaultRoute(n.gateway); err != nil {
			return fmt.Errorf("set the gateway %s: %w", n.gateway, err)
		}
	}
	var b strings.Builder
	for _, d := range n.dns {
		fmt.Fprintf(&b, "nameserver %s\n", d)
	}
	return os.WriteFile("/etc/resolv.conf", []byte(b.String()), 0o644)
}

func withRequest(name string, do func(fd int, r *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	return do(fd, r)
}

// rtentry is Linux's struct rtentry.
type rtentry struct {
	_                     uint64
	dst, gateway, genmask sockaddr
	flags                 uint16
	_                     [6]byte
	_                     uint64
	_                     [8]byte
	metric                int16
	_                     [6]byte
	dev                   uintptr
	mtu, window           uint64
	irtt                  uint16
	_                     [6]byte
}

type sockaddr struct {
	family uint16
	port   uint16
	addr   [4]byte
	_      [8]byte
}

func defaultRoute(via netip.Addr) error {
	r := rtentry{dst: sockaddr{family: unix.AF_INET}, genmask: sockaddr{family: unix.AF_INET}, flags: unix.RTF_UP | unix.RTF_GATEWAY,
		gateway: sockaddr{family: unix.AF_INET, addr: via.As4()}}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCADDRT, uintptr(unsafe.Pointer(&r))); no != 0 && no != unix.EEXIST {
		return no
	}
	return nil
}
