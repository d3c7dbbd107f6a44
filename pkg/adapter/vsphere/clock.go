package vsphere

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

const (
	// clocksAtOnce is how many hosts are asked side by side, and askings how
	// often each: what all answers allow is narrower than what one does.
	clocksAtOnce = 8
	askings      = 4
)

// Clocks measures every host against the wall clock of this process. One that is
// not connected or does not tell has an Error; the others are measured.
func (c *Client) Clocks(ctx context.Context) ([]inventory.Clock, error) {
	const op = "read the hosts' clocks"
	var objs []types.ObjectContent
	err := c.do(ctx, op, c.host(), func(ctx context.Context, v *vim25.Client) (err error) {
		objs, err = c.throughView(ctx, v, v.ServiceContent.RootFolder, []types.PropertySpec{{
			Type: "HostSystem", PathSet: []string{"name", "runtime.connectionState", "config.dateTimeInfo", "configManager.dateTimeSystem"},
		}})
		return err
	})
	if err != nil {
		return nil, err
	}
	g, err := gatherAll(objs)
	if err != nil {
		return nil, c.fail(ctx, op, c.host(), err)
	}
	out := []inventory.Clock{}
	var systems []*types.ManagedObjectReference
	for _, h := range g.hosts {
		k := inventory.Clock{Host: refOf(&h.Self), Name: unescape(h.Name), NTP: ntpOf(h)}
		if s := h.Runtime.ConnectionState; s != types.HostSystemConnectionStateConnected {
			k.Error = "the host is " + string(s)
		}
		out = append(out, k)
		systems = append(systems, h.ConfigManager.DateTimeSystem)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, clocksAtOnce)
	for i := range out {
		if out[i].Error != "" {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			c.measure(ctx, &out[i], systems[i])
			<-slots
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, c.fail(ctx, op, c.host(), ctx.Err())
	}
	return out, nil
}

func ntpOf(h mo.HostSystem) []string {
	if h.Config == nil || h.Config.DateTimeInfo == nil || h.Config.DateTimeInfo.NtpConfig == nil {
		return nil
	}
	return h.Config.DateTimeInfo.NtpConfig.Server
}

// measure narrows down by how much the host is ahead. What the host says was
// true at some moment between the question and the answer.
func (c *Client) measure(ctx context.Context, k *inventory.Clock, system *types.ManagedObjectReference) {
	if system == nil {
		k.Error = "the host does not tell its time"
		return
	}
	for i := range askings {
		lo, hi, err := c.ask(ctx, k.Name, *system)
		if err != nil {
			k.Error = err.Error()
			return
		}
		if i == 0 || max(lo, k.Min) > min(hi, k.Max) {
			// The first, or a clock that was set in between.
			k.Min, k.Max = lo, hi
			continue
		}
		k.Min, k.Max = max(lo, k.Min), min(hi, k.Max)
	}
}

func (c *Client) ask(ctx context.Context, name string, system types.ManagedObjectReference) (lo, hi time.Duration, err error) {
	const op = "read the clock of"
	err = c.do(ctx, op, name, func(ctx context.Context, v *vim25.Client) error {
		req, res := queryDateTimeBody{Req: &types.QueryDateTime{This: system}}, queryDateTimeBody{}
		t0 := time.Now()
		if err := v.RoundTrip(ctx, &req, &res); err != nil {
			return err
		}
		// By the monotonic clock: ours may be set while we wait.
		t1 := t0.Add(time.Since(t0))
		said, step, err := readTime(res.Res.Returnval)
		if err != nil {
			return cdp.Errorf(cdp.Transient, op, name, "%w", err)
		}
		// It was said's whole step long when the host looked.
		lo, hi = said.Sub(t1), said.Add(step).Sub(t0)
		return nil
	})
	return lo, hi, err
}

// readTime is a time as written, and how long it is still the same time: the
// last digit's worth.
func readTime(s string) (time.Time, time.Duration, error) {
	s = strings.TrimSpace(s)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, 0, err
	}
	step := time.Second
	if _, rest, ok := strings.Cut(s, "."); ok {
		for _, d := range rest {
			if d < '0' || d > '9' || step == 1 {
				break
			}
			step /= 10
		}
	}
	return t, step, nil
}

// queryDateTimeBody is the library's, but its answer is not parsed, for a time
// does not show how precisely it was written.
type queryDateTimeBody struct {
	Req *types.QueryDateTime `xml:"urn:vim25 QueryDateTime,omitempty"`
	Res *struct {
		Returnval string `xml:"returnval"`
	} `xml:"QueryDateTimeResponse,omitempty"`
	Fault_ *soap.Fault `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault,omitempty"`
}

// Fault is soap.HasFault's.
func (b *queryDateTimeBody) Fault() *soap.Fault { return b.Fault_ }
