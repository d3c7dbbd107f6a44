package main

import (
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// timeServer is an NTP server that knows the time of this machine, and writes down by how
// much those who ask are behind.
type timeServer struct {
	address string // as an appliance sees it

	mu     sync.Mutex
	behind []time.Duration
}

func newTimeServer(t *testing.T) *timeServer {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, port, _ := strings.Cut(c.LocalAddr().String(), ":")
	s := &timeServer{address: "10.0.2.2:" + port}
	go func() {
		const epoch = 2208988800 // of NTP, in seconds before 1970
		for q := make([]byte, 64); ; {
			n, from, err := c.ReadFrom(q)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			now := time.Now()
			s.mu.Lock()
			s.behind = append(s.behind, now.Sub(time.Unix(int64(binary.BigEndian.Uint32(q[40:]))-epoch, 0)))
			s.mu.Unlock()
			a := make([]byte, 48)
			a[0], a[1] = 4<<3|4, 2 // version 4, server; stratum 2
			copy(a[24:], q[40:48])
			for _, at := range []int{32, 40} {
				binary.BigEndian.PutUint32(a[at:], uint32(now.Unix()+epoch))
				binary.BigEndian.PutUint32(a[at+4:], uint32(int64(now.Nanosecond())<<32/1e9))
			}
			_, _ = c.WriteTo(a, from) // who asked asks again
		}
	}()
	return s
}

// corrected reports whether n who asked were as far behind as appliances are when they
// boot, each of them before one that was not.
func (s *timeServer) corrected(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	wrong := func(d time.Duration) bool { return d > wrongBy/2 }
	all := slices.Compact(slices.Collect(func(yield func(bool) bool) {
		for _, d := range s.behind {
			if !yield(wrong(d)) {
				return
			}
		}
	}))
	return len(all) >= 2*n && all[0]
}
