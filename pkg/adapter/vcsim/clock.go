package vcsim

import (
	"fmt"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// hostClock is one host's clock: the real time, off by a skew that may drift.
type hostClock struct {
	mo.HostDateTimeSystem

	mu    sync.Mutex
	since time.Time
	skew  time.Duration
	drift float64 // extra seconds a second
}

func newHostClock(h *simulator.HostSystem) *hostClock {
	c := &hostClock{since: time.Now()}
	c.Self = types.ManagedObjectReference{Type: "HostDateTimeSystem", Value: "dateTimeSystem-" + h.Self.Value}
	c.DateTimeInfo = types.HostDateTimeInfo{
		TimeZone:            types.HostDateTimeSystemTimeZone{Key: "UTC", Name: "UTC", Description: "UTC"},
		SystemClockProtocol: "ntp",
		NtpConfig:           &types.HostNtpConfig{},
	}
	h.Config.DateTimeInfo = &c.DateTimeInfo
	return c
}

func (c *hostClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := time.Now()
	return n.Add(c.skew + time.Duration(float64(n.Sub(c.since))*c.drift)).UTC()
}

func (c *hostClock) set(skew time.Duration, drift float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.skew, c.drift = time.Now(), skew, drift
}

func (c *hostClock) QueryDateTime(*simulator.Context, *types.QueryDateTime) soap.HasFault {
	return &methods.QueryDateTimeBody{Res: &types.QueryDateTimeResponse{Returnval: c.now()}}
}

func (c *hostClock) UpdateDateTime(_ *simulator.Context, req *types.UpdateDateTime) soap.HasFault {
	c.set(time.Until(req.DateTime), 0)
	return &methods.UpdateDateTimeBody{Res: &types.UpdateDateTimeResponse{}}
}

// Skew sets a host's clock ahead of the real time by d; a negative d sets it back.
func (s *Site) Skew(host string, d time.Duration) error { return s.Drift(host, d, 0) }

// Drift is Skew with a rate: extra seconds a second from now on.
func (s *Site) Drift(host string, d time.Duration, rate float64) error {
	c := s.clocks[host]
	if c == nil {
		return fmt.Errorf("vspheretest: no host %q", host)
	}
	c.set(d, rate)
	return nil
}
