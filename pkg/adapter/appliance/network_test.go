package appliance

import (
	"net"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestALeaseGivesAddressGatewayAndServers(t *testing.T) {
	ack, err := dhcpv4.New(dhcpv4.WithYourIP(net.IPv4(10, 9, 0, 5)), dhcpv4.WithNetmask(net.CIDRMask(22, 32)), dhcpv4.WithRouter(net.IPv4(10, 9, 0, 1)),
		dhcpv4.WithDNS(net.IPv4(10, 9, 0, 2)), dhcpv4.WithOption(dhcpv4.OptNTPServers(net.IPv4(10, 9, 0, 3))))
	if err != nil {
		t.Fatal(err)
	}
	n, err := networkOf(ack)
	if err != nil || n.address.String() != "10.9.0.5/22" || n.gateway.String() != "10.9.0.1" || len(n.dns) != 1 || len(n.ntp) != 1 || n.ntp[0] != "10.9.0.3" {
		t.Errorf("%+v, %v", n, err)
	}
	ack.YourIPAddr = net.IPv4zero
	if _, err := networkOf(ack); err == nil {
		t.Error("an answer without an address was taken")
	}
}

// A route is handed to the kernel in its own layout.
func TestARouteIsAsTheKernelWantsIt(t *testing.T) {
	var r rtentry
	if s, f, d := unsafe.Sizeof(r), unsafe.Offsetof(r.flags), unsafe.Offsetof(r.dev); s != 120 || f != 56 || d != 88 {
		t.Errorf("size %d, flags at %d, dev at %d", s, f, d)
	}
}

func TestTheClockIsSetByTheMiddleOfAnAnswer(t *testing.T) {
	sent := time.Unix(1_800_000_000, 250_000_000)
	q, a := make([]byte, 48), make([]byte, 48)
	putNTP(q[40:], sent)
	copy(a[24:], q[40:48])
	a[0], a[1] = 4<<3|4, 2
	putNTP(a[32:], sent.Add(2*time.Second+10*time.Millisecond)) // received
	putNTP(a[40:], sent.Add(2*time.Second+30*time.Millisecond)) // answered
	by, err := offsetOf(q, a, sent, 40*time.Millisecond)
	if d := by - 2*time.Second; err != nil || d.Abs() > time.Microsecond {
		t.Errorf("%v, %v", by, err)
	}
	for what, spoil := range map[string]func(){
		"an answer to another question": func() { a[24]++ }, "a client's packet": func() { a[0] = 4<<3 | 3 }, "a server without time": func() { a[1] = 16 },
	} {
		was := [48]byte(a)
		spoil()
		if _, err := offsetOf(q, a, sent, 0); err == nil {
			t.Error(what, "was taken")
		}
		copy(a, was[:])
	}
}

func TestTheConsoleShowsStateAndObeysNoControlCharacters(t *testing.T) {
	var screen, serial strings.Builder
	c := &console{version: "1.2", screen: &screen, serial: &serial}
	c.set("address", "10.9.0.5/24")
	c.set("state", "no disk\nattach one")
	c.set("state", "running")
	c.set("state", "running")
	for _, s := range []string{"hal", "f a line\n\033[2Jevil\n"} {
		if _, err := c.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	last := screen.String()[strings.LastIndex(screen.String(), "\033[2J\033[H"):]
	for _, want := range []string{"Tidemark transporter 1.2", "10.9.0.5/24", "running", "half a line\n[2Jevil\n"} {
		if !strings.Contains(last, want) {
			t.Errorf("%q is not shown: %q", want, last)
		}
	}
	if n := strings.Count(serial.String(), "state: running"); n != 1 {
		t.Errorf("the serial port has the state %d times", n)
	}
}
