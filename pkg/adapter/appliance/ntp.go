package appliance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ntpEvery = 5 * time.Minute
	// ntpStep is the offset from which on the clock is set; a smaller one is slewed away.
	ntpStep = 500 * time.Millisecond
)

// ntpEpoch is 1900, in Unix seconds.
const ntpEpoch = -2208988800

// askNTP measures by how much a server's clock is ahead of ours.
func askNTP(ctx context.Context, server string) (time.Duration, error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, "123")
	}
	c, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(end); err != nil {
			return 0, err
		}
	}
	sent := time.Now()
	q := make([]byte, 48)
	q[0] = 4<<3 | 3 // version 4, client
	putNTP(q[40:], sent)
	if _, err := c.Write(q); err != nil {
		return 0, err
	}
	a := make([]byte, 48)
	n, err := c.Read(a)
	if err != nil {
		return 0, err
	}
	return offsetOf(q, a[:n], sent, time.Since(sent))
}

// offsetOf is what an answer says: the middle of ours is the middle of theirs.
func offsetOf(q, a []byte, sent time.Time, took time.Duration) (time.Duration, error) {
	switch {
	case len(a) < 48, a[0]&7 != 4, string(a[24:32]) != string(q[40:48]):
		return 0, errors.New("the answer is not of NTP, or not to our question")
	case a[0]>>6 == 3, a[1] == 0, a[1] > 15:
		return 0, fmt.Errorf("the server does not know the time itself (stratum %d)", a[1])
	}
	theirs := ntpTime(a[32:])
	theirs = theirs.Add(ntpTime(a[40:]).Sub(theirs) / 2)
	return theirs.Sub(sent.Add(took / 2)), nil
}

func putNTP(b []byte, t time.Time) {
	binary.BigEndian.PutUint32(b, uint32(t.Unix()-ntpEpoch))
	binary.BigEndian.PutUint32(b[4:], uint32(int64(t.Nanosecond())<<32/1e9))
}

func ntpTime(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint32(b))+ntpEpoch, int64(binary.BigEndian.Uint32(b[4:]))*1e9>>32)
}

// setClock moves the machine's clock by an offset.
func setClock(by time.Duration) error {
	if by.Abs() >= ntpStep {
		t := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
		return unix.ClockSettime(unix.CLOCK_REALTIME, &t)
	}
	const singleShot = 0x8001 // ADJ_OFFSET_SINGLESHOT, in microseconds
	_, err := unix.Adjtimex(&unix.Timex{Modes: singleShot, Offset: by.Microseconds()})
	return err
}
