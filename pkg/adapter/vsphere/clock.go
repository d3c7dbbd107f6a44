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
	// clocksAtOnce is how many hosts are measured concurrently, and askings how
	// often each: the intersection of several answers is narrower than one.
	clocksAtOnce = 8
	askings      = 4
)

// Clocks measures every host against the wall clock of this process. A host that is
// not connected or does not answer has an Error.
func (c *Client) Clocks(ctx context.Context) ([]inventory.Clock, error) {
	const op = "read the hosts' clocks"
	var objs []types.ObjectContent
	err := c.do(ctx, op, c.host(), func(ctx context.Context, v *vim25.Client) (err error) {
		objs, err = c.throughView(ctx, v, []types.PropertySpec{{
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
		k := inventory.Clock{Host: refOf(&h.Self), Name: inventory.Unescape(h.Name), NTP: ntpOf(h)}
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

// measure narrows down by how much the host is ahead. The host's time was correct
// at some moment between question and answer.
func (c *Client) measure(ctx context.Context, k *inventory.Clock, system *types.ManagedObjectReference) {
	if system == nil {
		k.Error = "the host does not report its time"
		return
	}
	for i := range askings {
		lo, hi, err := c.ask(ctx, k.Name, *system)
		if err != nil {
			k.Error = err.Error()
			return
		}
		if i == 0 || max(lo, k.Min) > min(hi, k.Max) {
			// The first answer, or a clock was set in between.
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
		// By the monotonic clock: the wall clock may be set while waiting.
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

// readTime parses a time, and returns its precision: the value of the last digit.
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

// queryDateTimeBody is the library's, but leaves the answer unparsed: a parsed time
// does not show the precision it was written with.
type queryDateTimeBody struct {
	Req *types.QueryDateTime `xml:"urn:vim25 QueryDateTime,omitempty"`
	Res *struct {
		Returnval string `xml:"returnval"`
	} `xml:"QueryDateTimeResponse,omitempty"`
	Fault_ *soap.Fault `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault,omitempty"`
}

// Fault implements soap.HasFault.
func (b *queryDateTimeBody) Fault() *soap.Fault { return b.Fault_ }
